// Pixels and boxes as in docs/crops.md: a pixel's centre has integer coordinates, boxes [x0, y0, x1, y1] are half-open.
// An image is {width, height, channels, data}, its data row by row with interleaved channels, as a canvas gives them.

// The square around points [[x, y], ...] with the margin of the model's crop rule on each side.
export function squareAroundPoints(points, margin) {
    const xs = points.map((point) => point[0]), ys = points.map((point) => point[1]);
    const low = [Math.min(...xs) + 0.5, Math.min(...ys) + 0.5], high = [Math.max(...xs) + 0.5, Math.max(...ys) + 0.5];
    return widened(low, high, margin);
}

export function squareAroundBox(box, margin) {
    return widened(box.slice(0, 2), box.slice(2), margin);
}

function widened(low, high, margin) {
    const half = (Math.max(high[0] - low[0], high[1] - low[1]) * (1 + 2 * margin)) / 2;
    const [x, y] = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
    return [x - half, y - half, x + half, y + half];
}

// A square of an image as `size` x `size` pixels: bilinear, edge pixels repeated outside the image. A square at least
// twice as large as the crop is first averaged over blocks of pixels, since bilinear sampling alone would skip some.
export function cropImage(image, square, size) {
    const shrink = Math.floor((square[2] - square[0]) / size);
    if (shrink < 2) return sampled(image, square, size);
    const [x0, x1] = pixelsUnder(square[0], square[2], image.width);
    const [y0, y1] = pixelsUnder(square[1], square[3], image.height);
    const width = Math.ceil((x1 - x0) / shrink), height = Math.ceil((y1 - y0) / shrink);
    const data = new Float32Array(width * height * 3);
    for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
            for (let c = 0; c < 3; c++) {
                let sum = 0;
                for (let dy = 0; dy < shrink; dy++)
                    for (let dx = 0; dx < shrink; dx++) {
                        const row = Math.min(y0 + y * shrink + dy, y1 - 1), column = Math.min(x0 + x * shrink + dx, x1 - 1);
                        sum += image.data[(row * image.width + column) * image.channels + c];
                    }
                data[(y * width + x) * 3 + c] = sum / (shrink * shrink);
            }
    const inBlocks = [(square[0] - x0) / shrink, (square[1] - y0) / shrink, (square[2] - x0) / shrink, (square[3] - y0) / shrink];
    return sampled({ width, height, channels: 3, data }, inBlocks, size);
}

function pixelsUnder(low, high, length) {
    const first = Math.min(Math.max(Math.floor(low), 0), length - 1);
    return [first, Math.min(Math.max(Math.ceil(high), first + 1), length)];
}

function sampled(image, square, size) {
    const scale = (square[2] - square[0]) / size, data = new Float32Array(size * size * 3);
    const axis = (start, length) =>
        Array.from({ length: size }, (_, k) => {
            const at = start - 0.5 + (k + 0.5) * scale, first = Math.floor(at);
            const clamp = (place) => Math.min(Math.max(place, 0), length - 1);
            return [clamp(first), clamp(first + 1), at - first];
        });
    const columns = axis(square[0], image.width), rows = axis(square[1], image.height);
    for (let v = 0; v < size; v++)
        for (let u = 0; u < size; u++) {
            const [top, bottom, down] = rows[v], [left, right, across] = columns[u];
            for (let c = 0; c < 3; c++) {
                const pixel = (y, x) => image.data[(y * image.width + x) * image.channels + c];
                const above = pixel(top, left) * (1 - across) + pixel(top, right) * across;
                const below = pixel(bottom, left) * (1 - across) + pixel(bottom, right) * across;
                data[(v * size + u) * 3 + c] = above * (1 - down) + below * down;
            }
        }
    return { width: size, height: size, channels: 3, data };
}

// An image scaled down by averaging the area under each new pixel.
export function reduced(image, width, height) {
    const across = areaWeights(image.width, width), down = areaWeights(image.height, height);
    const data = new Float32Array(width * height * 3), line = new Float32Array(image.width * 3);
    for (let y = 0; y < height; y++) {
        line.fill(0);
        for (const [row, weight] of down[y])
            for (let x = 0; x < image.width; x++)
                for (let c = 0; c < 3; c++)
                    line[x * 3 + c] += weight * image.data[(row * image.width + x) * image.channels + c];
        for (let x = 0; x < width; x++)
            for (const [column, weight] of across[x])
                for (let c = 0; c < 3; c++) data[(y * width + x) * 3 + c] += weight * line[column * 3 + c];
    }
    return { width, height, channels: 3, data };
}

function areaWeights(length, count) {
    const step = length / count;
    return Array.from({ length: count }, (_, k) => {
        const start = k * step, stop = Math.min((k + 1) * step, length), weights = [];
        for (let at = Math.floor(start); at < stop; at++)
            weights.push([at, (Math.min(at + 1, stop) - Math.max(at, start)) / step]);
        return weights;
    });
}
