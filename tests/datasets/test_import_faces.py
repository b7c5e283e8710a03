"""Formats and the import: index bases, crops, what is skipped, and that nothing mixes up rows."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from reporters import Recorder, Strict

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.datasets.formats import find_format
from kdtools.datasets.formats.csv_points import read_rows
from kdtools.datasets.formats.pts import parse_pts
from kdtools.datasets.formats.shared.annotation import Reading
from kdtools.datasets.formats.shared.id_prefixes import id_prefixes
from kdtools.datasets.import_faces import import_faces
from kdtools.datasets.point_scheme import settle_scheme
from kdtools.errors import DataError, FileError, UsageError
from kdtools.faces.file import open_faces
from kdtools.faces.selection import parse_subsets
from kdtools.faces.writer import create_faces
from kdtools.images import reading
from kdtools.images.cropping import crop_image
from kdtools.images.drawing import draw_landmarks, write_image
from kdtools.images.reading import read_image
from kdtools.landmarks import IBUG68
from kdtools.landmarks.crop_rule import CropRule
from kdtools.landmarks.geometry import apply_affine
from kdtools.storage.provenance import Provenance

Skipped = list[tuple[str, str]]


def write_blob_image(path: Path, points: np.ndarray, width: int = 120, height: int = 90, sigma: float = 2.0) -> None:
    """Bright blobs centred exactly at points (L, 2), so that a crop's error shows as a shift of their centroid."""
    y, x = np.mgrid[:height, :width]
    image = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points)
    write_image(path, np.repeat((255 * np.clip(image, 0, 1)).astype(np.uint8)[..., None], 3, axis=2))


def centroid(image: np.ndarray, near: np.ndarray, radius: int) -> np.ndarray:
    """Centre of brightness around a point."""
    x0, y0 = np.round(near).astype(int) - radius
    part = image[max(y0, 0) : y0 + 2 * radius + 1, max(x0, 0) : x0 + 2 * radius + 1, 0].astype(float)
    y, x = np.mgrid[max(y0, 0) : max(y0, 0) + part.shape[0], max(x0, 0) : max(x0, 0) + part.shape[1]]
    return np.array([(x * part).sum(), (y * part).sum()]) / part.sum()


def write_pts(path: Path, points: np.ndarray) -> None:
    body = "\n".join(f"{x:.6f} {y:.6f}" for x, y in points)
    path.write_text(f"version: 1\nn_points: {len(points)}\n{{\n{body}\n}}\n")


def run_import(
    sources: list[Path], output: Path, *, form: str = "auto", base: int | None = None, size: int = 64
) -> tuple[int, Skipped]:
    recorder = Recorder()
    annotations = read_annotations(Sources([str(s) for s in sources], form, base), recorder)
    annotations, scheme = settle_scheme(annotations, None, None)
    with create_faces(str(output), False, Provenance("test")) as writer:
        n = import_faces(
            annotations,
            writer,
            crop=CropRule(0.3) if scheme else None,
            size=size,
            jobs=2,
            scheme=scheme,
            subsets=[("first", "*0*")],
            reporter=recorder,
        )
    return n, recorder.skipped


@pytest.mark.parametrize("size", [48, 64, 24])
def test_points_stay_on_what_they_mark(tmp_path: Path, size: int) -> None:
    """A half-pixel shift anywhere between file, crop and source would show here."""
    points = np.array([[40.25, 30.5], [80.75, 34.0], [60.0, 62.5]])
    folder = tmp_path / "set"
    folder.mkdir()
    write_blob_image(folder / "a.png", points, sigma=4 if size < 48 else 2)
    write_pts(folder / "a.pts", points + 1)  # 300W counts from 1
    run_import([folder], tmp_path / "out.h5", size=size)
    with open_faces(tmp_path / "out.h5") as faces:
        image, in_crop = np.array(faces.images[0]), faces.landmarks[0]
        for k, point in enumerate(in_crop):
            assert np.abs(centroid(image, point, size // 8) - point).max() < 0.1, k
        np.testing.assert_allclose(faces.points()[0], points, atol=1e-4)


def test_large_photograph_is_averaged_and_keeps_its_places() -> None:
    """Shrinking nine-fold goes through the averaging path, whose blocks must not shift the image."""
    points = np.array([[500.0, 400.0], [700.0, 430.0]])
    y, x = np.mgrid[:900, :1100]
    image = np.zeros((900, 1100, 3), np.uint8)
    for px, py in points:
        image[..., 0] = np.maximum(image[..., 0], 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 25.0**2)))
    crop, to_source = crop_image(image, np.array([303.7, 120.3, 903.7, 720.3]), 64)
    for point in points:
        in_crop = np.linalg.solve(to_source[:, :2], point - to_source[:, 2])
        assert np.abs(centroid(crop, in_crop, 8) - in_crop).max() < 0.05
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3), np.uint8)
    averaged, _ = crop_image(noise, np.array([0.0, 0, 900, 900]), 60)
    assert averaged.std() < 0.15 * noise.std()  # bilinear sampling alone would keep about 0.6 of it


@pytest.mark.parametrize("box", [[-1e7, -1e7, 1e7, 1e7], [200, 10, 240, 50], [-50, 0, -1, 49], [np.nan, 0, 9, 9]])
def test_absurd_crop_squares_are_refused(box: list[float]) -> None:
    with pytest.raises(DataError, match="crop"):
        crop_image(np.zeros((100, 120, 3), np.uint8), np.array(box, float), 16)


def test_crop_of_a_thin_image_takes_no_room_beyond_the_image() -> None:
    """2 x 5000 px in a square of 60000 px: blocks of 3750 px, of which the two rows fill next to nothing."""
    image = np.full((2, 5000, 3), 200, np.uint8)
    pixels = []
    resize = cv2.resize

    def spy(part: np.ndarray, *args: object, **options: object) -> np.ndarray:
        pixels.append(part.shape[0] * part.shape[1])
        return resize(part, *args, **options)  # type: ignore[call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cv2, "resize", spy)
        crop, _ = crop_image(image, np.array([-25000.0, -30000, 35000, 30000]), 16)
    assert max(pixels) <= 2 * 2 * 5000
    assert (crop == 200).all()


@pytest.mark.parametrize("size", [32, 20])
def test_images_wider_than_the_warp_can_take_are_cropped_exactly(size: int) -> None:
    """The same pixels, at the left of a small image and at the right of one of 40000 px, give the same crop."""
    part = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8), (0, 0), 1.5)
    wide = np.zeros((60, 40000, 3), np.uint8)
    wide[:, 39910:] = part
    for box in ([30.3, 10.6, 62.3, 42.6], [60.25, 30.5, 100.25, 70.5]):  # the second one leaves the image
        shifted = np.array(box) + [39910, 0, 39910, 0]
        crop, to_source = crop_image(part, np.array(box), size)
        far, far_to_source = crop_image(wide, shifted, size)
        np.testing.assert_allclose(far_to_source - to_source, [[0, 0, 39910], [0, 0, 0]], atol=1e-9)
        assert np.abs(far.astype(int) - crop).max() <= 1
    x, y = to_source[:, 2] + to_source[:, 0] * 3 + to_source[:, 1] * 2  # pixel 3, 2 of the crop, by hand
    (x0, y0), (dx, dy) = np.floor([x, y]).astype(int), np.array([x, y]) % 1
    four = part[y0 : y0 + 2, x0 : x0 + 2].astype(float)
    value = np.array([1 - dy, dy]) @ np.einsum("yxc,x->yc", four, [1 - dx, dx])
    np.testing.assert_allclose(crop[2, 3], value, atol=5)


def test_csv_with_and_without_header_and_with_missing_numbers(tmp_path: Path) -> None:
    points = np.array([[40.0, 30.0], [80.0, 34.0], [60.0, 62.0]])
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        write_blob_image(tmp_path / "images" / name, points)
    flat = ",".join(map(str, points.ravel()))
    missing = ",".join(["40", "30", "", "", "60", "62"])
    for header in ("image,x0,y0,x1,y1,x2,y2\n", ""):
        (tmp_path / "list.csv").write_text(f"{header}a.png,{flat}\nb.png,{missing}\na.png,{flat}1\n")
        n, skipped = run_import([tmp_path / "list.csv"], tmp_path / f"{len(header)}.h5")
        assert (n, skipped) == (3, [])  # the last line is a second face in a.png
        with open_faces(tmp_path / f"{len(header)}.h5") as faces:
            assert faces.ids == ["a.png", "b.png", "a.png#2"]
            np.testing.assert_allclose(faces.points()[0], points, atol=1e-4)
            assert np.isnan(faces.landmarks[1, 1]).all()
            assert np.isfinite(faces.landmarks[1, [0, 2]]).all()


def test_base_overrides_that_of_the_format(tmp_path: Path) -> None:
    points = np.array([[40.0, 30.0], [80.0, 34.0]])
    write_blob_image(tmp_path / "a.png", points)
    write_pts(tmp_path / "a.pts", points)
    run_import([tmp_path], tmp_path / "out.h5", base=0)
    with open_faces(tmp_path / "out.h5") as faces:
        np.testing.assert_allclose(faces.points()[0], points, atol=1e-4)


def test_bad_files_among_good_ones_are_named_and_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    rng = np.random.default_rng(0)
    expected = {}
    for k in range(12):
        points = rng.uniform(20, 70, (3, 2))
        write_blob_image(folder / f"p{k:02d}.png", points)
        write_pts(folder / f"p{k:02d}.pts", points + 1)
        expected[f"p{k:02d}.png"] = points
    (folder / "p01.png").write_bytes(b"not a picture")
    (folder / "p03.pts").write_text("version: 1\n{\n1 2\nx y\n}\n")
    write_pts(folder / "p05.pts", np.ones((4, 2)))
    (folder / "p07.png").unlink()
    write_pts(folder / "p09.pts", np.full((3, 2), 5.0))
    n, skipped = run_import([folder], tmp_path / "out.h5")
    assert n == 7
    assert {Path(what).stem for what, _ in skipped} == {"p01", "p03", "p05", "p07", "p09"}
    with open_faces(tmp_path / "out.h5") as faces:
        assert faces.images.shape[0] == 7
        assert faces.subsets["first"].tolist() == ["0" in identity for identity in faces.ids]
        for identity, points, image, in_crop in zip(
            faces.ids, faces.points(), faces.images, faces.landmarks, strict=True
        ):
            np.testing.assert_allclose(points, expected[identity], atol=1e-4)
            brightness = [image[tuple(np.round(p[::-1]).astype(int))].mean() for p in in_crop]
            assert min(brightness) > 200, identity  # the right image under the right points


def test_absurd_rows_thin_images_and_unusable_files_do_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.array([[40.0, 30.0], [80.0, 34.0], [60.0, 62.0]])
    for name in ("good", "far", "memory", "opencv", "locked"):
        write_blob_image(tmp_path / f"{name}.png", points)
        write_pts(tmp_path / f"{name}.pts", points + 1)
    write_image(tmp_path / "thin.png", np.full((2, 5000, 3), 9, np.uint8))
    write_pts(tmp_path / "thin.pts", np.array([[10.0, 1], [4000, 2], [90, 1]]))
    write_pts(tmp_path / "far.pts", np.array([[40.0, 30.0], [1e7, 34.0], [60.0, 62.0]]))
    (tmp_path / "folder.pts").mkdir()  # looked into, as any folder
    read_bytes, decode = reading.read_bytes, cv2.imdecode

    def read(path: Path) -> bytes:  # tests may run as root, whom no file mode stops
        if path.name == "locked.png":
            raise FileError(f"{path}: Permission denied")
        if path.name == "memory.png":
            raise MemoryError
        return b"opencv" if path.name == "opencv.png" else read_bytes(path)

    def imdecode(data: np.ndarray, flags: int) -> np.ndarray | None:
        if bytes(data) == b"opencv":
            cv2.cvtColor(np.zeros((2, 2), np.uint8), cv2.COLOR_BGR2RGB)  # raises cv2.error
        return decode(data, flags)

    monkeypatch.setattr("kdtools.datasets.import_faces.read_bytes", read)
    monkeypatch.setattr(cv2, "imdecode", imdecode)
    n, skipped = run_import([tmp_path], tmp_path / "out.h5")
    assert n == 2
    assert {Path(what).stem for what, _ in skipped} == {"far", "memory", "opencv", "locked"}
    assert all(why and "\n" not in why for _, why in skipped)
    assert "out of memory" in dict(skipped)["memory.png"]
    with open_faces(tmp_path / "out.h5") as faces:
        assert faces.ids == ["good.png", "thin.png"]


@pytest.mark.filterwarnings("error")
def test_absurd_rows_of_csv_are_named_and_left_out(tmp_path: Path) -> None:
    write_blob_image(tmp_path / "a.png", np.array([[40.0, 30.0], [80.0, 34.0]]))
    rows = ["40,30,80,34", "40,30,1e6,34", "40,30,1e7,34", "1e308,30,-1e308,34", "500,500,510,510"]
    (tmp_path / "list.csv").write_text("".join(f"a.png,{row}\n" for row in rows))
    n, skipped = run_import([tmp_path], tmp_path / "out.h5")
    assert n == 1
    path = tmp_path / "list.csv"
    assert [what for what, _ in skipped] == [f"{path}:3", f"{path}:4", "a.png#2", "a.png#3"]
    assert "would be 1.6e+06 px" in skipped[2][1]  # the tests' margin is 0.3, so 1.6 times the points
    assert "outside the image of 120 x 90 px" in skipped[3][1]


def test_a_name_too_long_for_the_system_is_only_a_missing_image(tmp_path: Path) -> None:
    write_blob_image(tmp_path / "a.png", np.array([[40.0, 30.0], [80.0, 34.0]]))
    (tmp_path / "list.csv").write_text(f"{'x' * 5000}.png,1,2,3,4\na.png,40,30,80,34\n")
    n, skipped = run_import([tmp_path], tmp_path / "out.h5")
    assert (n, len(skipped)) == (1, 1)


def test_number_of_points_is_that_of_most_faces(tmp_path: Path) -> None:
    for name, n_points in (("a", 5), ("b", 3), ("c", 3), ("d", 3)):
        points = np.random.default_rng(0).uniform(20, 70, (n_points, 2))
        write_blob_image(tmp_path / f"{name}.png", points)
        write_pts(tmp_path / f"{name}.pts", points)
    n, skipped = run_import([tmp_path], tmp_path / "out.h5")
    assert n == 3
    assert skipped == [("a.png", "5 points, but b.png has 3")]
    for name in "cd":
        (tmp_path / f"{name}.pts").unlink()
    n, skipped = run_import([tmp_path], tmp_path / "tie.h5")
    assert (n, skipped) == (1, [("b.png", "3 points, but a.png has 5")])


def test_jpeg_with_something_after_its_end_is_whole(tmp_path: Path) -> None:
    """Phones append a film; others a thumbnail before, whose end marker is not that of the picture."""
    pixels = np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)
    write_image(tmp_path / "a.jpg", pixels)
    plain = (tmp_path / "a.jpg").read_bytes()
    thumbnail = b"\xff\xe1" + (2 + 204).to_bytes(2, "big") + b"\xff\xd8\xff\xd9" * 51
    for name, data in (("film", plain + bytes(20_000)), ("thumb", plain[:2] + thumbnail + plain[2:])):
        (tmp_path / f"{name}.jpg").write_bytes(data)
        np.testing.assert_array_equal(read_image(tmp_path / f"{name}.jpg"), read_image(tmp_path / "a.jpg"))
    cut = plain[:2] + thumbnail + plain[2:-500]
    for length in (len(cut), 300, 150, 3):
        (tmp_path / "cut.jpg").write_bytes(cut[:length])
        with pytest.raises(FileError, match=r"cut off|decoded"):
            read_image(tmp_path / "cut.jpg")


def test_images_are_turned_upright_by_their_exif_orientation(tmp_path: Path) -> None:
    """Orientation 6, as phones held upright write it: the first column of the stored pixels is the top row."""
    write_image(tmp_path / "a.jpg", np.repeat(np.arange(0, 240, 10, np.uint8)[None, :, None], 16, axis=0).repeat(3, 2))
    data = (tmp_path / "a.jpg").read_bytes()
    tiff = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + bytes.fromhex("0112 0003 00000001 0006 0000 00000000")
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1" + (len(tiff) + 2).to_bytes(2, "big") + tiff + data[2:])
    image = read_image(tmp_path / "a.jpg")
    assert image.shape == (24, 16, 3)
    assert np.abs(image[:, 0, 0].astype(int) - np.arange(0, 240, 10)).max() < 8


def test_truncated_jpeg_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_image(path, np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8))
    assert read_image(path).shape == (80, 80, 3)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(FileError, match="cut off"):
        read_image(path)


def test_folder_of_images_is_padded_to_squares(tmp_path: Path) -> None:
    write_image(tmp_path / "wide.png", np.full((40, 80, 3), 90, np.uint8))
    run_import([tmp_path], tmp_path / "out.h5", form="images", size=32)
    with open_faces(tmp_path / "out.h5") as faces:
        assert "landmarks" not in faces
        assert faces.h5["box"][0].tolist() == [0, -20, 80, 60]
        corners = apply_affine(faces.read("to_source", 0, len(faces)), np.array([[[-0.5, -0.5], [31.5, 31.5]]]))
        np.testing.assert_allclose(corners[0], [[-0.5, -20.5], [79.5, 59.5]])


def test_several_sources_keep_their_ids_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "train").mkdir(parents=True)
        write_blob_image(tmp_path / name / "train" / "a.png", np.array([[30.0, 30], [60, 60]]))
        write_pts(tmp_path / name / "train" / "a.pts", np.array([[30.0, 30], [60, 60]]))
    run_import([tmp_path / "one" / "train", tmp_path / "two" / "train"], tmp_path / "out.h5")
    with open_faces(tmp_path / "out.h5") as faces:
        assert faces.ids == ["one/train/a.png", "two/train/a.png"]


def test_prefixes_are_as_long_as_it_takes(tmp_path: Path) -> None:
    for name in ("23/photos", "24/photos", "24/other/photos", "photos", "24/x/images", "23/x/images"):
        (tmp_path / name).mkdir(parents=True)

    def prefixes(*sources: str) -> list[str]:
        return id_prefixes([str(tmp_path / source) for source in sources], (".tar.gz", ".tar"))

    own = tmp_path.name
    assert prefixes("23/photos", "24/x/images", "24/photos") == ["23/photos/", "x/images/", "24/photos/"]
    assert prefixes("photos", "24/other/photos", "24/other") == [f"{own}/photos/", "other/photos/", "other/"]
    assert prefixes("23/x/images", "24/x/images") == ["23/x/images/", "24/x/images/"]
    assert prefixes("fold.tar", "23/copy.tar.gz", "23/photos/a.png") == ["fold/", "copy/", "photos/"]
    assert prefixes("fold.tar", "23/fold.tar", "23/fold.tar") == [f"{own}/fold/", "23/fold/", "23/fold/"]
    assert prefixes("fold.tar", "fold.tar.gz", "photos.tar", "photos") == [
        "fold.tar/",
        "fold.tar.gz/",
        "photos.tar/",
        "photos/",
    ]
    assert prefixes("photos", "photos/a.png", "photos/b.png") == ["photos/"] * 3
    assert id_prefixes(["/", str(tmp_path / "photos")]) == ["", "photos/"]


def test_a_link_has_the_name_of_its_place(tmp_path: Path) -> None:
    """Not of the folder that it leads to, whose names nobody gave."""
    for name in ("store/7f3a", "photos", "others"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "store/7f3a/blob.png").touch()
    (tmp_path / "store/fold.tar").touch()
    links = {
        "photos/a.png": "../store/7f3a/blob.png",
        "monday": "store/7f3a",
        "again": "store/7f3a",
        "week.tar": "store/fold.tar",
    }
    for link, target in links.items():
        (tmp_path / link).symlink_to(target)

    def prefixes(*sources: str) -> list[str]:
        return id_prefixes([str(tmp_path / source) for source in sources], (".tar",))

    assert prefixes("photos/a.png", "monday", "week.tar", "others") == ["photos/", "monday/", "week/", "others/"]
    assert prefixes("monday", "again", "store/7f3a/blob.png") == ["monday/"] * 3  # so that equal ids are noticed
    assert prefixes("monday/../fold.tar", "photos") == ["fold/", "photos/"]  # store/fold.tar


def test_ids_of_one_folder_of_the_current_one_and_of_single_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("x/a.png", "y/deep/a.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        write_image(tmp_path / name, np.zeros((8, 8, 3), np.uint8))

    def ids(*sources: str) -> list[str]:
        return [one.id for one in read_annotations(Sources(sources, "images"), Strict())]

    monkeypatch.chdir(tmp_path / "x")
    assert ids(".") == ids("a.png") == ids(str(tmp_path / "x")) == ["a.png"]
    assert ids(".", "../y") == ["x/a.png", "y/deep/a.png"]
    assert ids("a.png", "../y/deep/a.png") == ["x/a.png", "deep/a.png"]


def test_equal_ids_are_found_before_anything_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.png").write_bytes(b"is never opened")
    with pytest.raises(DataError, match=r"'x/a\.png'"):
        read_annotations(Sources([str(tmp_path / "x"), str(tmp_path / "x" / "a.png")], "images"), Strict())


@pytest.mark.parametrize(
    "text",
    ["", "version: 1\n{\n1 2\n", "{\n1 2\n3\n}", "n_points: 3\n{\n1 2\n}", "{\n1 inf\n}", "{\n}", "1 2\n3 4"],
)
def test_damaged_pts_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        parse_pts(text)


def test_damaged_lines_of_csv_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,x0,y0\na,1,2\nb,1\nc,1,z\n\nd,1,inf\ne,5,6\n")
    bad: Skipped = []
    rows = [row.image for row in read_rows(path, Reading(0, lambda where, why: bad.append((where, why))))]
    assert rows == ["a", "e"]
    assert [where for where, _ in bad] == [f"{path}:3", f"{path}:4", f"{path}:6"]


def test_formats_are_found_by_a_look_at_the_input(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    assert find_format("auto", tmp_path).name == "csv"
    assert find_format("auto", tmp_path / "a.png").name == "images"
    (tmp_path / "a.pts").touch()
    assert find_format("auto", tmp_path).name == "pts"
    with pytest.raises(UsageError, match="no format 'cocoa'"):
        find_format("cocoa", tmp_path)
    with pytest.raises(FileError, match="no such"):
        find_format("auto", tmp_path / "absent")


def test_folder_with_two_csv_files_must_name_one(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    for name in ("train.csv", "val.csv", "._val.csv"):
        (tmp_path / name).touch()
    for form in ("auto", "csv"):
        with pytest.raises(FileError, match=r"2 \.csv files: 'train\.csv', 'val\.csv'") as caught:
            find_format(form, tmp_path)
        assert "name" in caught.value.hint
    assert find_format("images", tmp_path).name == "images"
    assert find_format("auto", tmp_path / "val.csv").name == "csv"
    (tmp_path / "val.csv").unlink()
    assert find_format("auto", tmp_path).name == "csv"


def test_subset_words() -> None:
    assert parse_subsets("--add-subset", ["a=x/*", "a=y/*"]) == [("a", "x/*"), ("a", "y/*")]
    with pytest.raises(UsageError, match="--add-subset is 'nonsense'"):
        parse_subsets("--add-subset", ["nonsense"])
    with pytest.raises(UsageError, match="all faces"):
        parse_subsets("--add-subset", ["full=x/*"])
    for name in ("", ".", "..", "a/b"):
        with pytest.raises(UsageError, match="cannot be called"):
            parse_subsets("--add-subset", [f"{name}=x/*"])


def test_a_glob_that_matches_no_id_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write_image(folder / "a.png", np.zeros((8, 8, 3), np.uint8))
    annotations = read_annotations(Sources([str(folder)]), Strict())
    recorder = Recorder()
    with create_faces(str(tmp_path / "out.h5"), False, Provenance("test")) as writer:
        import_faces(
            annotations,
            writer,
            crop=None,
            size=16,
            jobs=1,
            scheme=None,
            subsets=[("one", "a*"), ("one", "ibug/*"), ("two", "*")],
            reporter=recorder,
        )
    assert len(recorder.warned) == 1
    assert "one=ibug/*" in recorder.warned[0]
    assert "'a.png'" in recorder.warned[0]


def test_drawing_marks_the_points_and_leaves_out_missing_ones() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    points = np.full((68, 2), np.nan)
    points[[36, 45]] = [[20, 30], [44, 30]]
    drawn = draw_landmarks(image, points, IBUG68)
    assert drawn[30, 20].max() > 100
    assert drawn[30, 44].max() > 100
    assert drawn[40:].max() == 0
    assert image.max() == 0
    assert cv2.countNonZero(draw_landmarks(image, np.full((68, 2), np.nan), IBUG68)[..., 0]) == 0


def test_real_faces_are_imported_whole(shared_dir: Path, tmp_path: Path) -> None:
    n, skipped = run_import([shared_dir / "data" / "youtube68" / "val"], tmp_path / "val.h5")
    assert (n, skipped) == (385, [])
    with open_faces(tmp_path / "val.h5") as faces:
        points = faces.points()
        assert np.abs(points - np.round(points)).max() < 1e-3  # annotated in whole pixels, counted from 0


def test_two_images_of_one_name_are_warned_of(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b.png"):
        write_image(tmp_path / name, np.zeros((20, 20, 3), np.uint8))
    for name in "ab":
        rows = "".join(f"{k} {k * k % 17}\n" for k in range(1, 6))
        (tmp_path / f"{name}.pts").write_text(f"version: 1\nn_points: 5\n{{\n{rows}}}\n")
    told = Recorder()
    found = read_annotations(Sources([str(tmp_path)], "pts"), told)
    assert [one.id for one in found] == ["a.jpg", "b.png"]
    assert [text for text in told.warned if "a.jpg and a.png" in text and "a.jpg is taken" in text]
