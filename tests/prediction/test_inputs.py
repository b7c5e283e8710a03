"""Where photographs come from: order, ids, and what cannot be read, for each kind of source."""

from __future__ import annotations

import inspect
import io
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from reporters import NoSkips, Recorder

from kdtools.datasets.annotations import Sources, read_annotations
from kdtools.datasets.formats.shared.annotation import clean_path
from kdtools.errors import DataError, FileError, KdError, UsageError
from kdtools.images.drawing import write_image
from kdtools.images.reading import decode_image
from kdtools.prediction.inputs import Photograph, Photographs, kind_of, tar
from kdtools.reporting import printable
from kdtools.storage import names as listing
from kdtools.storage.names import NOT_STORABLE, SeenNames, files_below, plain_path


def ids(*inputs: Path | str, **options: Any) -> list[str]:
    return [photograph.id for photograph in Photographs([str(name) for name in inputs], **options)]


def pixels(photograph: Photograph) -> np.ndarray:
    data = photograph.fetch()
    return data if isinstance(data, np.ndarray) else decode_image(data, photograph.source)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def grey(value: int, side: int = 20) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


# ---- folders
def test_files_below_are_in_the_order_of_their_parts(tmp_path: Path) -> None:
    names = ["a.png", "a/z.png", "a/b/c.png", "a b.png", "a-b/x.png", "ä/ö.png", "Z.png", ".hidden/x.png", ".h.png"]
    touch(tmp_path, *names)
    wanted = [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*")) if not p.is_dir()]
    assert list(files_below(tmp_path, hidden=True)) == wanted
    assert list(files_below(tmp_path)) == [name for name in wanted if not name.startswith(".")]


def test_links_to_folders_are_followed_and_nothing_is_listed_twice(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.png", "real/deep/b.png", "root/x.png", "root/own/c.png", "root/.store/d.png")
    links = {
        "root/p1": "../real",
        "root/p2": "../real",  # the same again
        "root/p3": "../real/deep",  # a part of it
        "root/own/up": "../..",  # a circle, and to where the root lies
        "root/same": "own",  # is searched anyway
        "root/shown": ".store",  # a hidden folder is not
        "real/deep/back": "../../root",
        "root/broken.png": "absent",
    }
    for link, target in links.items():
        (tmp_path / link).symlink_to(target)
    passed: list[str] = []
    names = list(files_below(tmp_path / "root", passed_over=passed.append))
    assert names == ["broken.png", "own/c.png", "own/up/real/a.png", "own/up/real/deep/b.png", "shown/d.png", "x.png"]
    assert sorted(passed) == ["own/up/real/deep/back/", "own/up/root/", "p1/", "p2/", "p3/", "same/"]
    (tmp_path / "root/own/up").unlink()
    names = list(files_below(tmp_path / "root"))
    assert names == ["broken.png", "own/c.png", "p1/a.png", "p1/deep/b.png", "shown/d.png", "x.png"]


def test_folders_may_be_nested_more_deeply_than_calls(tmp_path: Path) -> None:
    """Not 1,500 of them, which pytest could not remove; instead fewer calls are allowed."""
    folder = tmp_path.joinpath(*"d" * 200)
    folder.mkdir(parents=True)
    (folder / "a.png").touch()
    limit, depth = sys.getrecursionlimit(), len(inspect.stack(0))
    sys.setrecursionlimit(depth + 100)
    try:
        names = list(files_below(tmp_path))
    finally:
        sys.setrecursionlimit(limit)
    assert names == ["d/" * 200 + "a.png"]


def test_what_is_passed_over_is_counted_by_suffix(tmp_path: Path) -> None:
    names = ["a.png", "b.JFIF", "c.avif", "d.gif", "e.HEIC", "f.mp4", "g.txt", "h.TXT", "README"]
    touch(tmp_path / "p", *names)
    (tmp_path / "p/link").symlink_to(".")
    photographs = Photographs([str(tmp_path / "p")])
    assert [one.id for one in photographs] == ["a.png", "b.JFIF", "c.avif", "d.gif", "e.HEIC"]
    told = Recorder()
    photographs.passed_over.report(told)
    assert told.said[0].startswith("passed over: 2 .txt, ")
    assert all(part in told.said[0] for part in ("1 .mp4", "1 without suffix", "1 links to folders", "name videos"))
    assert len(told.details) == 5
    told = Recorder()
    read_annotations(Sources([str(tmp_path / "p")], "images"), told)
    assert any("2 .txt" in text and "1 .mp4" in text for text in told.said)


def test_an_input_without_images_is_named_beside_others(tmp_path: Path) -> None:
    touch(tmp_path, "full/a.png", "wrong/a.txt")
    with tarfile.open(tmp_path / "none.tar", "w"):
        pass
    photographs = Photographs([str(tmp_path / name) for name in ("full", "wrong", "none.tar")])
    assert [one.id for one in photographs] == ["full/a.png"]
    told = Recorder()
    photographs.passed_over.report(told)
    assert told.warned == [f"{tmp_path / name}: no images in there" for name in ("wrong", "none.tar")]


@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
def test_what_is_passed_over_in_a_tar_file_is_counted(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{suffix}"
    with tarfile.open(path, "w:gz" if suffix == ".tgz" else "w") as archive:
        for name, kind in (("a.png", b"0"), ("b.mp4", b"0"), ("c.png", tarfile.LNKTYPE), ("d", tarfile.DIRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "a.png"
            archive.addfile(member)
    photographs = Photographs([str(path)])
    assert [one.id for one in photographs] == ["a.png"]
    assert "1 .mp4" in photographs.passed_over.summary
    assert "1 links or devices" in photographs.passed_over.summary


def test_many_names_are_sorted_by_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{k * 7919 % 1000:03d}\n{k}.jpg" for k in range(1000)]
    touch(tmp_path, *names)
    for run in (1, 17, 999, 1000, 1001):
        monkeypatch.setattr(listing, "_RUN", run)
        assert list(files_below(tmp_path)) == sorted(names)


def test_a_name_that_is_not_utf_8_is_told_and_skipped_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    assert (printable(name), printable("a\ud800")) == (r"caf\xe9.png", r"a\ud800")
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, f"x/{name}", "x/ü.png", f"{name}/a.png", "list")
    Path("list").write_bytes(os.fsencode(f"ü.png\n{name}\n"))
    write_tar(tmp_path / "t.tar", {name: 1, "ü.png": 2})
    for inputs, listed in ((["x"], False), (["list"], True), (["t.tar"], False)):
        bad, good = sorted(Photographs(inputs, listed=listed), key=lambda one: one.id)
        assert (bad.id, good.id) == (r"caf\xe9.png", "ü.png")
        assert bad.source.isascii()
        with pytest.raises(KdError, match="its name is not UTF-8"):
            bad.fetch()
    assert ids(name) == [r"caf\xe9.png"]  # a folder
    assert ids(f"x/{name}") == [r"x/caf\xe9.png"]
    recorder = Recorder()
    (kept,) = read_annotations(Sources(["x"], "images"), recorder)
    assert (kept.id, recorder.skipped) == ("ü.png", [(r"caf\xe9.png", NOT_STORABLE)])


def test_an_id_that_could_be_of_a_second_face_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image a.jpg with two faces gives the ids a.jpg and a.jpg#2, whatever comes after it."""
    monkeypatch.chdir(tmp_path)
    names = ["a#1", "a#2.png", "a#b", "a#02", "a#2", "a#10", "v.avi#frame=000003"]
    touch(tmp_path, *(f"x/{name}" for name in names))
    Path("list").write_text("".join(f"x/{name}\n" for name in names))
    for found in (Photographs(["x"], include=["*"]), Photographs(["list"], listed=True)):
        refused = []
        for one in found:
            try:
                one.fetch()
            except KdError as error:
                refused.append((one.id.removeprefix("x/"), error.message.split(",")[0]))
        assert sorted(refused) == sorted((name, f"its name ends in #{name.partition('#')[2]}") for name in names[4:])


def test_backslashes_and_spaces_of_names_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [" a.png", "C:/b.png", r"a\b.png"]
    touch(tmp_path, *(f"x/{name}" for name in names))
    Path("list").write_text("".join(f"./x/{name}\n" for name in names))
    write_tar(tmp_path / "t.tar", dict.fromkeys(names, 1))
    assert ids("x") == ids("t.tar") == names
    assert ids("list", listed=True) == [f"x/{name}" for name in names]


def test_images_of_a_folder_and_what_else_is_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.png", "x/deep/b.JPG", "x/.hidden/c.png", "x/notes.txt", "x/deep/d.raw")
    assert ids(tmp_path / "x") == ["a.png", "deep/b.JPG"]
    assert ids(tmp_path / "x", include=["*.raw"]) == ["deep/d.raw"]
    assert ids(tmp_path / "x", include=["deep/*", "a.*"]) == ["a.png", "deep/b.JPG", "deep/d.raw"]
    assert ids(tmp_path / "x/deep", tmp_path / "x/a.png") == ["deep/b.JPG", "x/a.png"]
    assert ids(tmp_path / "x/a.png") == ["a.png"]
    with pytest.raises(FileError, match="no such"):
        Photographs([str(tmp_path / "absent.png")])


def test_a_folder_that_cannot_be_listed_is_an_input_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/x.png", "b/x.png", "c/x.png")
    scandir = os.scandir

    def refuse(folder: str) -> Any:
        if folder.endswith("b"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    photographs = list(Photographs([str(tmp_path)]))
    assert [one.id for one in photographs] == ["a/x.png", "b/", "c/x.png"]
    with pytest.raises(FileError, match="cannot be listed"):
        photographs[1].fetch()


def test_ids_are_those_of_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "one/train/a.png", "two/train/a.png", "two/train/b.png")
    monkeypatch.chdir(tmp_path / "one" / "train")
    for sources in (["."], ["a.png"], [".", "../../two/train"], ["../../two/train/b.png", "a.png"]):
        annotations = read_annotations(Sources(sources, "images"), NoSkips())
        listed = ids(*sources)
        assert listed == [one.id for one in annotations]
        assert not any(identity.startswith("/") for identity in listed)
    assert listed == ["two/train/b.png", "one/train/a.png"]


def test_an_image_that_stands_twice_can_be_read_once(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", grey(1))
    one, two = Photographs([str(tmp_path), str(tmp_path / "a.png")])
    assert one.id == two.id
    assert pixels(one).mean() == 1
    with pytest.raises(KdError, match="another image has this id"):
        two.fetch()


@pytest.mark.parametrize("hashes_well", [True, False])
def test_names_are_seen_in_little_memory(hashes_well: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdtools.storage.names._HASHES_WELL", hashes_well)
    monkeypatch.setattr("kdtools.storage.names._RECENT", 8)
    seen = SeenNames()
    assert all(seen.add(f"name {k}") for k in range(500))
    assert not any(seen.add(f"name {k}") for k in range(500))
    assert len(seen._arrays) < 8
    assert seen.add("name 500")


def test_nearly_no_new_name_is_searched_for_in_the_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each of ten million names would cost several times what each of a thousand does."""
    monkeypatch.setattr("kdtools.storage.names._RECENT", 8)
    searched: list[int] = []
    monkeypatch.setattr("kdtools.storage.names._holds", lambda array, digest: bool(searched.append(digest)))
    seen = SeenNames()
    assert all(seen.add(f"name {k}") for k in range(2000))
    assert len(set(searched)) < 2000 / 6
    assert len(seen._bits) <= 2 * 2000


# ---- lists
@pytest.mark.parametrize("separator", ["\n", "\r\n", "\0"])
@pytest.mark.parametrize("last", [True, False])
def test_a_list_of_images(separator: str, last: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["b.png", "./sub/a.png", "absent.png", "with space.png"]
    touch(tmp_path, "sub/a.png")
    write_image(tmp_path / "b.png", grey(9))
    if separator == "\0":
        names.append("two\nlines.png")
    text = separator.join(names) + (separator if last else "")
    (tmp_path / "list").write_bytes(text.encode())
    found = list(Photographs(["list"], listed=True))
    assert [one.id for one in found] == ["b.png", "sub/a.png", *names[2:]]
    assert pixels(found[0]).mean() == 9
    with pytest.raises(FileError, match="no such file"):
        found[2].fetch()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))  # type: ignore
    assert ids("-", listed=True) == [one.id for one in found]


def test_a_list_is_counted_without_a_look_at_its_names(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"a.png\r\n\nb//c.png\n./a.png\n../d.png\n\xff.png\n\r\nx#2")
    (tmp_path / "more.txt").write_bytes(b"a.png\n")
    photographs = Photographs([str(tmp_path / "list.txt"), str(tmp_path / "more.txt")], listed=True)
    assert photographs.count() == len(list(photographs)) == 7


@pytest.mark.parametrize(
    "name", ["a/b.png", "/a/b.png", "./a", "a//b", "a/./b", "a/", "..", "../a", "//a", ".a", "a/.b", ""]
)
def test_the_quick_ways_to_spell_a_path_give_what_the_careful_ones_do(name: str) -> None:
    assert plain_path(name) == str(Path(name))
    careful = "/".join(part for part in name.split("/") if part not in ("", ".", ".."))
    assert clean_path(name) == careful


def test_a_name_with_dots_has_the_id_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a/b.png", "b.png", "c/d.png", "far/near/x.png", "far/b.png")
    Path("list").write_text("a/../b.png\na/b.png\n./c/./d.png\n")
    assert ids("list", listed=True) == ["b.png", "a/b.png", "c/d.png"]
    Path("list").write_text("b.png\na/../b.png\n")
    first, second = Photographs(["list"], listed=True)
    assert first.id == second.id
    with pytest.raises(KdError, match="another image has this id"):
        second.fetch()
    write_tar(tmp_path / "t.tar", {"a/../b.png": 1, "a/b.png": 2, "..": 3})
    assert ids("t.tar") == ["b.png", "a/b.png"]
    Path("link").symlink_to("far/near")
    Path("list").write_text("link/../b.png\n")  # far/b.png, not b.png
    (through,) = Photographs(["list"], listed=True)
    with pytest.raises(DataError, match="follows a link"):
        through.fetch()


def test_a_list_is_read_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of any length, of which nothing is kept; what is asked for is there before the end of the list is."""
    reader, writer = os.pipe()
    os.write(writer, b"a.png\nb.png\nc")
    with open(reader) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        photographs = iter(Photographs(["-"], listed=True))
        assert [next(photographs).id, next(photographs).id] == ["a.png", "b.png"]
        os.write(writer, b".png\n")
        os.close(writer)
        assert [one.id for one in photographs] == ["c.png"]


# ---- tar files
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.xz"])
def test_images_in_a_tar_file(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / f"archive{suffix}", {"./x/b.png": 3, "a.png": 4, "x/._b.png": 5, "notes.txt": 6})
    found = list(Photographs([str(path)]))
    assert [one.id for one in found] == ["x/b.png", "a.png"]  # in the order of the archive
    assert [pixels(one).mean() for one in found] == [3, 4]  # after the archive was gone through
    assert found[1].source == f"{path}/a.png"
    assert ids(path, include=["*.txt"]) == ["notes.txt"]
    assert Photographs([str(path)]).count() == 2
    with path.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert kind_of("-") == "tar"
        piped = list(Photographs(["-"]))
    assert [(one.id, one.source) for one in piped] == [("x/b.png", "x/b.png"), ("a.png", "a.png")]
    assert [pixels(one).mean() for one in piped] == [3, 4]


def write_tar(path: Path, values: dict[str, int]) -> Path:
    """A tar file, compressed as its suffix says, of grey images, whatever their names."""
    mode = {"tar": "w:", "xz": "w:xz"}.get(path.name.rpartition(".")[2], "w:gz")
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, value in values.items():
            data = cv2.imencode(".png", grey(value))[1].tobytes()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_damaged_tar_file_gives_what_is_whole_of_it(suffix: str, tmp_path: Path) -> None:
    path = write_tar(tmp_path / f"archive{suffix}", {f"{k}.png": k for k in range(20)})
    data = path.read_bytes()
    path.write_bytes(data[: 10 * 1024 + 560] if suffix == ".tar" else data[: len(data) // 2])  # within an image
    found = list(Photographs([str(path)]))
    assert pixels(found[0]).mean() == 0
    with pytest.raises(KdError):
        pixels(found[-1])
    if suffix == ".tar":
        with pytest.raises(FileError, match="ends after 48 of its"):
            found[-2].fetch()
        path.write_bytes(data[: 10 * 1024 + 512])
        with pytest.raises(FileError, match="ends after 0 of its"):
            list(Photographs([str(path)]))[-2].fetch()
    path.write_bytes(b"no tar file at all" * 100)
    (one,) = Photographs([str(path)])
    with pytest.raises(FileError, match="not a tar file, or damaged"):
        one.fetch()


# ---- videos
def write_video(path: Path, values: list[int]) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    for value in values:
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()


def test_frames_of_a_video(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    write_video(path, [10, 60, 110])
    found = list(Photographs([str(path)]))
    assert [one.id for one in found] == [f"clip.avi#frame={k:06d}" for k in range(3)]
    assert [one.frame for one in found] == [0, 1, 2]
    assert [one.time for one in found] == pytest.approx([0, 0.05, 0.1], abs=1e-6)
    assert [pixels(one).mean() for one in found] == pytest.approx([10, 60, 110], abs=3)
    assert Photographs([str(path)]).have_frames
    path.write_bytes(b"no video")
    (one,) = Photographs([str(path)])
    with pytest.raises(FileError, match="not a video"):
        one.fetch()


def test_a_camera_that_is_not_there() -> None:
    (one,) = Photographs(["9"])
    with pytest.raises(FileError, match="no such camera"):
        one.fetch()


# ---- all kinds
def test_kinds_may_be_mixed_but_not_with_faces_files(tmp_path: Path) -> None:
    write_tar(tmp_path / "t.tar", {"in.png": 1})
    write_video(tmp_path / "v.avi", [1])
    touch(tmp_path, "folder/f.png", "i.png", "faces.h5")
    inputs = [tmp_path / name for name in ("v.avi", "folder", "t.tar", "i.png")]
    own = tmp_path.name
    assert ids(*inputs) == [f"{own}/v.avi#frame=000000", "folder/f.png", "t/in.png", f"{own}/i.png"]
    with pytest.raises(UsageError, match=r"faces\.h5: no image"):
        ids(*inputs, tmp_path / "faces.h5")
    assert kind_of(str(tmp_path / "faces.h5")) == kind_of(str(tmp_path / "absent")) == "faces"


def test_what_can_be_read_once_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, listed in (("-", True), ("0", False)):
        with pytest.raises(UsageError, match="only once"):
            Photographs([name], listed=listed).count()


def test_a_video_that_is_cut_off_or_damaged_is_named_after_its_last_frame(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole, half, damaged = (tmp_path / f"{name}.avi" for name in ("whole", "half", "damaged"))
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(40):
        writer.write(rng.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    data = whole.read_bytes()
    half.write_bytes(data[: len(data) // 2])
    first, second = len(data) // 4, len(data) // 2
    damaged.write_bytes(data[:first] + rng.bytes(second - first) + data[second:])
    assert [one.frame for one in Photographs([str(whole)])] == list(range(40))
    for video in (half, damaged):
        *frames, last = Photographs([str(video)])
        assert [one.frame for one in frames] == list(range(len(frames)))
        assert 5 < len(frames) < 35
        assert (last.id, last.frame) == (video.name, None)
        with pytest.raises(FileError, match=f"only {len(frames)} of its 40 frames"):
            last.fetch()
    assert capfd.readouterr().err == ""  # FFmpeg has nothing to add


def test_members_of_a_stream_wait_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the limit waits on the disk, and comes back the same; what is done with makes room again."""
    monkeypatch.setattr(tar, "_MOST_IN_MEMORY", 250_000)
    contents = {f"{k}.png": bytes([k]) * 100_000 for k in range(8)}
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

    def in_memory(photographs: list[Photograph]) -> int:
        return sum(isinstance(one.fetch, tar._Held) for one in photographs)

    waiting = list(Photographs([str(tmp_path / "a.tar.gz")]))
    assert in_memory(waiting) == 2
    assert {one.id: one.fetch() for one in waiting} == contents
    kept = []
    for one in Photographs([str(tmp_path / "a.tar.gz")]):
        assert one.fetch() == contents[one.id]
        kept.append(isinstance(one.fetch, tar._Held))
    assert all(kept)
