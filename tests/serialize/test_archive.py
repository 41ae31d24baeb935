"""PyTorchFileWriter and PyTorchFileReader: the archive layer of torch.save and torch.load."""

import gzip
import io
import mmap
import os
import zipfile

import pytest

import mindtorch_v2 as torch

Writer, Reader = torch._C.PyTorchFileWriter, torch._C.PyTorchFileReader

MEMBERS = {"data.pkl": b"pickle", "data/0": bytes(range(256)) * 40, "data/1": b"", "data/2": b"x"}


def written(members=MEMBERS, target=None, **kwargs):
    buffer = io.BytesIO() if target is None else target
    writer = Writer(buffer, **kwargs)
    for name, data in members.items():
        writer.write_record(name, data, len(data))
    writer.write_end_of_file()
    return buffer.getvalue() if target is None else None


def check_members(reader):
    assert reader.get_all_records()[: len(MEMBERS)] == list(MEMBERS)
    for name, data in MEMBERS.items():
        assert reader.has_record(name)
        assert reader.get_record_size(name) == len(data)
        assert reader.get_record(name) == data
        assert reader.get_record_offset(name) % 64 == 0


class OnlyRead:
    """A file that offers no more than read, seek and tell."""

    def __init__(self, data):
        self._file = io.BytesIO(data)
        self.read, self.seek, self.tell = self._file.read, self._file.seek, self._file.tell


class Unbuffered(io.RawIOBase):
    """A raw file whose write() takes at most 1000 bytes, as raw files may."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += bytes(data[:1000])
        return min(len(data), 1000)


def test_python_reads_what_we_write():
    with zipfile.ZipFile(io.BytesIO(written())) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[:4] == [f"archive/{name}" for name in MEMBERS]
        assert names[4:] == [
            "archive/version",
            "archive/byteorder",
            "archive/.data/serialization_id",
        ]
        assert archive.read("archive/data/0") == MEMBERS["data/0"]
        assert archive.read("archive/version") == b"3\n"
        assert all(info.date_time[0] == 1980 for info in archive.infolist())


def test_reading_from_all_kinds_of_files(tmp_path):
    data = written()
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    check_members(Reader(str(path)))
    check_members(Reader(data))
    check_members(Reader(bytearray(data)))
    check_members(Reader(io.BytesIO(data)))
    check_members(Reader(OnlyRead(data)))
    with open(path, "rb") as file:
        check_members(Reader(file))
        assert file.tell() == 0
    with open(path, "rb", buffering=0) as file:
        check_members(Reader(file))
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        reader = Reader(mapped)
        check_members(reader)
        del reader
    with gzip.open(tmp_path / "model.gz", "wb") as file:
        file.write(data)
    with gzip.open(tmp_path / "model.gz", "rb") as file:
        check_members(Reader(file))


def test_an_archive_may_start_at_the_position_of_a_file(tmp_path):
    data = b"12345" + written()
    file = io.BytesIO(data)
    file.seek(5)
    check_members(Reader(file))
    (tmp_path / "f").write_bytes(data)
    with open(tmp_path / "f", "rb") as file:
        file.seek(5)
        check_members(Reader(file))


def test_a_reader_outlives_its_file(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(written())
    with open(path, "rb") as file:
        reader = Reader(file)
    path.unlink()
    check_members(reader)
    file = io.BytesIO(written())
    reader = Reader(file)
    with pytest.raises(BufferError):
        file.truncate(0)  # in use as long as the reader is
    check_members(reader)
    reader._close()
    file.truncate(0)
    with pytest.raises(RuntimeError, match="has no archive"):
        reader.get_all_records()


def test_unsaved_changes_of_a_file_are_seen(tmp_path):
    with open(tmp_path / "f", "w+b") as file:
        file.write(written())
        file.seek(0)
        check_members(Reader(file))


def test_writing_to_all_kinds_of_targets(tmp_path):
    path = str(tmp_path / "dir.x" / "my.model.pt")
    os.mkdir(tmp_path / "dir.x")
    written(target=path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[0] == "my.model/data.pkl"
    raw = Unbuffered()
    written(target=raw)
    assert bytes(raw.data) == written()
    fd = os.open(tmp_path / "fd", os.O_WRONLY | os.O_CREAT)
    writer = Writer(fd, _archive_name="named")
    writer._reserve(1 << 20)
    writer.write_record("a", "text", 4)
    writer.write_end_of_file()
    os.close(fd)
    assert os.path.getsize(tmp_path / "fd") < 4096
    assert Reader(str(tmp_path / "fd")).get_record("a") == b"text"


def test_storages_are_written_and_read_in_place():
    storage = torch.UntypedStorage(list(range(100)))
    archive = written({"data/0": b""})
    buffer = io.BytesIO()
    writer = Writer(buffer)
    writer.write_record("data/0", storage, 100)
    writer.write_record("data/1", storage, 10)
    writer.write_end_of_file()
    reader = Reader(buffer.getvalue())
    assert reader.get_record("data/0") == bytes(range(100))
    assert reader.get_record("data/1") == bytes(range(10))
    target = torch.UntypedStorage(100)
    reader._read_storage("data/0", target)
    assert target.tolist() == list(range(100))
    with pytest.raises(
        RuntimeError, match=r"record size \(10 bytes\) does not match expected size"
    ):
        reader._read_storage("data/1", target)
    with pytest.raises(ValueError, match="size 101"):
        Writer(io.BytesIO()).write_record("x", storage, 101)
    assert Reader(archive).get_record("data/0") == b""


def test_names_and_ids():
    writer = Writer(io.BytesIO(), True, 64)
    assert writer.archive_name() == "archive"
    assert writer.serialization_id() == ""
    writer.write_record("a", b"1", 1)
    writer.write_record_metadata("hole", 1000)
    assert writer.get_all_written_records() == {"a", "hole"}
    writer.set_min_version(7)
    writer.write_end_of_file()
    assert writer.get_all_written_records() >= {"a", "hole", ".data/version", "byteorder"}
    assert len(writer.serialization_id()) == 40 and writer.serialization_id().isdigit()
    same, other = written(), written({**MEMBERS, "data/2": b"y"})
    assert Reader(same).serialization_id() == Reader(written()).serialization_id()
    assert Reader(same).serialization_id() != Reader(other).serialization_id()


def test_holes_read_as_zeros():
    buffer = io.BytesIO()
    writer = Writer(buffer)
    writer.write_record_metadata("hole", 70000)
    writer.write_end_of_file()
    assert Reader(buffer.getvalue()).get_record("hole") == bytes(70000)


def test_a_flipped_bit_is_an_error_that_names_the_member():
    data = bytearray(written())
    offset = Reader(bytes(data)).get_record_offset("data/0")
    data[offset + 5000] ^= 1
    reader = Reader(bytes(data))
    with pytest.raises(RuntimeError, match="failed reading file data/0: CRC-32 check failed"):
        reader.get_record("data/0")
    assert reader.get_record("data.pkl") == b"pickle"
    reader._check_crc32 = False
    assert reader.get_record("data/0") != MEMBERS["data/0"]


def test_without_checksums_nothing_is_compared():
    data = bytearray(written(compute_crc32=False))
    data[Reader(bytes(data)).get_record_offset("data/0")] ^= 1
    assert Reader(bytes(data)).get_record("data/0") != MEMBERS["data/0"]


def test_deflated_members_are_read(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**MEMBERS, "version": b"3\n"}.items():
            method = zipfile.ZIP_STORED if name == "version" else None
            archive.writestr(f"m/{name}", data, method)
    reader = Reader(buffer.getvalue())
    for name, data in MEMBERS.items():
        assert reader.get_record(name) == data
    storage = torch.UntypedStorage(len(MEMBERS["data/0"]))
    reader._read_storage("data/0", storage)
    assert bytes(storage.tolist()) == MEMBERS["data/0"]
    data = bytearray(buffer.getvalue())
    data[reader.get_record_offset("data/0") + 30] ^= 0x40
    with pytest.raises(RuntimeError, match="data/0"):
        Reader(bytes(data)).get_record("data/0")


def test_bad_calls():
    writer = Writer(io.BytesIO())
    writer.write_record("a", b"1", 1)
    with pytest.raises(RuntimeError, match="Tried to serialize file twice: a"):
        writer.write_record("a", b"1", 1)
    with pytest.raises(TypeError):
        writer.write_record(5, b"1", 1)
    with pytest.raises(TypeError, match="expected str, bytes or a storage"):
        writer.write_record("b", 5, 1)
    with pytest.raises(ValueError):
        writer.write_record("b", b"123", 4)
    with pytest.raises(ValueError):
        writer.write_record("b", b"123", -1)
    writer.write_end_of_file()
    with pytest.raises(RuntimeError, match="already finalized"):
        writer.write_record("c", b"1", 1)
    with pytest.raises(RuntimeError, match="already finalized"):
        writer.write_end_of_file()
    for bad in ("", ".hidden", "dir/"):
        with pytest.raises(RuntimeError, match="invalid file name"):
            Writer(bad)
    with pytest.raises(RuntimeError, match=r"Parent directory /no/such does not exist\."):
        Writer("/no/such/x.pt")
    with pytest.raises(AttributeError):
        Writer(5.0)
    with pytest.raises(ValueError, match="alignment"):
        Writer(io.BytesIO(), True, 0)
    for type_ in (Writer, Reader):
        with pytest.raises(RuntimeError):
            type_.__new__(type_).archive_name() if type_ is Writer else type_.__new__(
                type_
            ).get_all_records()
    with pytest.raises(RuntimeError, match="errno 2"):
        Reader("/no/such/file")
    with pytest.raises(AttributeError, match="'int' object has no attribute 'tell'"):
        Reader(5)
    reader = Reader(written())
    with pytest.raises(RuntimeError, match="failed locating file nope: file not found"):
        reader.get_record("nope")
    with pytest.raises(TypeError):
        reader.get_record(5)
    assert not reader.has_record("nope")


def test_errors_of_the_target_come_through():
    class Full:
        def write(self, data):
            raise OSError(28, "disk full")

    writer = Writer(Full())
    with pytest.raises(OSError, match="disk full"):
        writer.write_record("a", bytes(1 << 20), 1 << 20)
    with pytest.raises(RuntimeError, match="broken by an earlier failure"):
        writer.write_record("b", b"", 0)


def test_errors_of_the_source_come_through():
    file = OnlyRead(written())
    reader = Reader(file)

    def broken(*args):
        raise OSError("gone")

    file.read = broken
    with pytest.raises(OSError, match="gone"):
        reader.get_record("data/0")
    file.read = lambda n: b""
    with pytest.raises(RuntimeError, match="file read failed"):
        reader.get_record("data/0")
    file.read = lambda n: "text"
    with pytest.raises(TypeError):
        reader.get_record("data/0")


def test_nobody_keeps_a_window_on_memory_that_goes():
    kept = []

    class Keeps(io.BytesIO):
        def write(self, data):
            kept.append(data)
            return super().write(data)

    written(target=Keeps())
    assert kept
    with pytest.raises(ValueError, match="released"):
        bytes(kept[0])


def test_a_callback_cannot_use_its_own_writer():
    class Recursive:
        def write(self, data):
            with pytest.raises(RuntimeError, match="in use"):
                writer.write_record("x", b"1", 1)
            self.asked = True
            return len(data)

    target = Recursive()
    writer = Writer(target)
    writer.write_record("a", bytes(1 << 20), 1 << 20)
    assert target.asked


@pytest.mark.parametrize("size", [0, 4, 10, 22, 100, -1, -22, -60])
def test_truncated_archives(size):
    data = written()[:size]
    expected = "not a ZIP archive" if len(data) < 22 else "failed finding central directory"
    with pytest.raises(RuntimeError, match="failed reading zip archive: " + expected):
        Reader(data)


def test_damaged_archives_never_do_more_than_raise():
    data = written()
    for i in range(len(data)):
        damaged = bytearray(data)
        damaged[i] ^= 0xFF
        try:
            reader = Reader(bytes(damaged))
            for name in reader.get_all_records():
                reader.get_record(name)
        except (RuntimeError, UnicodeDecodeError) as e:
            assert str(e)


def test_version_must_be_there_and_known():
    def with_version(text):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("m/data.pkl", b"")
            if text is not None:
                archive.writestr("m/version", text)
        return buffer.getvalue()

    Reader(with_version("3\n"))
    with pytest.raises(RuntimeError, match=r'Expected hasRecord\("version"\) to be true'):
        Reader(with_version(None))
    with pytest.raises(RuntimeError, match="maximum supported version for reading is 10"):
        Reader(with_version("11\n"))
    with pytest.raises(RuntimeError, match="Couldn't parse the version"):
        Reader(with_version("x\n"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("version", "3\n")
    with pytest.raises(RuntimeError, match="file in archive is not in a subdirectory: version"):
        Reader(buffer.getvalue())
