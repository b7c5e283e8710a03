// The face finder and a landmark network in onnxruntime-web, with the arithmetic of kd-predict.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { cropImage, reduced, squareAroundBox, squareAroundPoints } from "./geometry.js";

ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;
ort.env.wasm.numThreads = 1; // more need headers of the server (cross-origin isolation)

const STRIDES = [8, 16, 32], MULTIPLE = 32, GREY = 127;
const MIN_SCORE = 0.55, OVERLAP = 0.35, INSIDE = 0.75;
// In px, as in kdtools/images/detection/finder.py: pictures are searched at half their size within SIDES, and as in
// scales.py beside it at a third of that and so on, for faces above LARGEST_FACE px.
const SIDES = [1024, 3072], LARGEST_FACE = 168, STEP = 1 / 3, FILLS = 0.77, SMALLEST_SIDE = 8;

async function fetched(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
    return new Uint8Array(await answer.arrayBuffer());
}

export class FaceFinder {
    static async load(url) {
        const finder = new FaceFinder();
        finder.session = await ort.InferenceSession.create(await fetched(url));
        return finder;
    }

    // Squares around the points of the faces in an image, with their scores: [{box, score}, ...], the largest first.
    async find(image) {
        const longest = Math.max(image.width, image.height);
        const ratio = Math.min(longest, SIDES[1], Math.max(SIDES[0], Math.ceil(longest / 2))) / longest;
        const largest = LARGEST_FACE / ratio;
        let found = await this.search(image, ratio);
        for (let scale = STEP; FILLS * longest * scale > largest * STEP; scale *= STEP) {
            const again = await this.search(image, ratio * scale);
            const large = again.filter((face) => sideOf(face.box) * scale >= largest * STEP);
            // A large face is placed better there, so it replaces the one that it overlaps, and keeps the better score.
            const same = large.map((face) => found.filter((one) => overlap(one.box, face.box) > OVERLAP));
            const replaced = new Set(same.filter((ones) => ones.length === 1).flat());
            const scores = same.map((ones, k) => (ones.length === 1 ? Math.max(large[k].score, ones[0].score) : large[k].score));
            found = found.filter((one) => !replaced.has(one)).concat(large.map(({ box }, k) => ({ box, score: scores[k] })));
        }
        const kept = bestOf(found);
        const whole = kept.filter((face, k) => !kept.slice(0, k).some((better) => inside(face.box, better.box) > INSIDE));
        return whole.sort((one, other) => sideOf(other.box) - sideOf(one.box));
    }

    // Squares and scores in the image when scaled; of two that overlap the better one.
    async search(image, ratio) {
        if (Math.min(image.width, image.height) * ratio < SMALLEST_SIDE) return [];
        const width = Math.max(1, Math.round(image.width * ratio)), height = Math.max(1, Math.round(image.height * ratio));
        const small = width === image.width && height === image.height ? image : reduced(image, width, height);
        const columns = Math.ceil(width / MULTIPLE) * MULTIPLE, rows = Math.ceil(height / MULTIPLE) * MULTIPLE;
        const pixels = new Uint8Array(rows * columns * 3).fill(GREY);
        for (let y = 0; y < height; y++)
            for (let x = 0; x < width; x++)
                for (let c = 0; c < 3; c++)
                    pixels[(y * columns + x) * 3 + c] = Math.round(small.data[(y * width + x) * small.channels + c]);
        const answers = await this.session.run({ image: new ort.Tensor("uint8", pixels, [1, rows, columns, 3]) });
        const across = image.width / width, down = image.height / height, found = [];
        for (const stride of STRIDES) {
            const { data, dims } = answers[`faces${stride}`], cells = dims[2] * dims[3];
            for (let cell = 0; cell < cells; cell++) {
                const score = data[cell];
                if (score < MIN_SCORE) continue;
                const x = ((cell % dims[3]) + 0.5 + data[cells + cell]) * stride;
                const y = (Math.floor(cell / dims[3]) + 0.5 + data[2 * cells + cell]) * stride;
                const half = (Math.exp(data[3 * cells + cell]) * stride) / 2;
                found.push({ score, box: [(x - half) * across, (y - half) * down, (x + half) * across, (y + half) * down] });
            }
        }
        return bestOf(found);
    }
}

export class LandmarkNetwork {
    static async load(url) {
        const network = new LandmarkNetwork(), bytes = await fetched(url);
        network.card = JSON.parse(metadataOf(bytes, "kdtools"));
        if (network.card.crop.box === "given") throw new Error(`${url}: its crops go around annotated boxes, which this page does not have`);
        network.session = await ort.InferenceSession.create(bytes);
        return network;
    }

    // Points [[x, y], ...] in pixels of the image, for the square around the points that a detector found. As in
    // kd-predict, the face is then cropped once more, around these points.
    async predict(image, box, refine = 1) {
        const margin = this.card.crop.margin;
        let points = await this.inSquare(image, squareAroundBox(box, margin));
        for (let k = 0; k < refine; k++) points = await this.inSquare(image, squareAroundPoints(points, margin));
        return points;
    }

    async inSquare(image, square) {
        const size = this.card.input_size, crop = cropImage(image, square, size), plane = size * size;
        const input = new Float32Array(3 * plane);
        for (let k = 0; k < plane; k++)
            for (let c = 0; c < 3; c++) input[c * plane + k] = Math.round(crop.data[k * 3 + c]) / 255;
        const answers = await this.session.run({ images: new ort.Tensor("float32", input, [1, 3, size, size]) }, ["landmarks"]);
        const unit = answers.landmarks.data, side = square[2] - square[0];
        return Array.from({ length: unit.length / 2 }, (_, k) => [
            square[0] - 0.5 + (unit[2 * k] + 0.5) * side,
            square[1] - 0.5 + (unit[2 * k + 1] + 0.5) * side,
        ]);
    }
}

// Of those that overlap the best, by their scores.
function bestOf(found) {
    const kept = [];
    for (const face of found.sort((one, other) => other.score - one.score))
        if (!kept.some((better) => overlap(face.box, better.box) > OVERLAP)) kept.push(face);
    return kept;
}

const sideOf = (box) => Math.max(box[2] - box[0], box[3] - box[1]);
const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);

function shared(one, other) {
    const width = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
    const height = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
    return Math.max(width, 0) * Math.max(height, 0);
}

const overlap = (one, other) => shared(one, other) / (area(one) + area(other) - shared(one, other));
const inside = (one, other) => shared(one, other) / Math.min(area(one), area(other));

// A text in the metadata of an ONNX file, which onnxruntime-web does not show: field 14 of the protobuf, of entries
// with a key (1) and a value (2).
function metadataOf(bytes, key) {
    const text = new TextDecoder();
    for (const entry of fieldsOf(bytes, 14)) {
        const [name] = fieldsOf(entry, 1), [value] = fieldsOf(entry, 2);
        if (text.decode(name) === key) return text.decode(value);
    }
    throw new Error("not a network that kd-export wrote: its description is missing");
}

function fieldsOf(bytes, wanted) {
    const found = [];
    let at = 0;
    const varint = () => {
        let value = 0, shift = 1;
        for (;;) {
            const byte = bytes[at++];
            value += (byte & 127) * shift;
            if (byte < 128) return value;
            shift *= 128;
        }
    };
    while (at < bytes.length) {
        const tag = varint(), field = Math.floor(tag / 8), kind = tag % 8;
        if (kind === 0) varint();
        else if (kind === 1) at += 8;
        else if (kind === 5) at += 4;
        else {
            const length = varint();
            if (field === wanted) found.push(bytes.subarray(at, at + length));
            at += length;
        }
    }
    return found;
}
