#include "variants/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "variants/hash.h"
#include "variants/huge_pages.h"

namespace kill9 {
namespace {

constexpr char kMagic[8] = {'k', 'i', 'l', 'l', '9', 's', 'e', 'g'};
constexpr uint64_t kMinimumBytes = 64 << 10;
constexpr size_t kMaximumNameBytes = 200;
constexpr const char* kDirectorySuffix = ".files";

uint64_t Checksum(const SegmentHeader& header) {
  return XXH3_64bits(&header, offsetof(SegmentHeader, checksum));
}

absl::Status ErrnoStatus(int error, const std::string& what) {
  std::string text = absl::StrCat(what, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(text);
    case EEXIST:
      return absl::AlreadyExistsError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EFBIG:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::InvalidArgumentError(text);
  }
}

std::string Describe(const SegmentLocation& location) {
  switch (location.kind) {
    case SegmentKind::kAnonymous:
      return "anonymous segment";
    case SegmentKind::kNamed:
      return absl::StrCat("segment '", location.name, "' (/dev/shm)");
    case SegmentKind::kFile:
      return absl::StrCat("segment file '", location.name, "'");
  }
  std::abort();
}

absl::StatusOr<std::string> PathOf(const SegmentLocation& location) {
  const std::string& name = location.name;
  if (location.kind == SegmentKind::kFile) {
    if (name.empty()) return absl::InvalidArgumentError("a segment file needs a path");
    if (name.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError("a segment file's path cannot contain a zero byte");
    }
    return name;
  }
  if (location.kind == SegmentKind::kAnonymous) {
    return absl::InvalidArgumentError("an anonymous segment has no name; pass its descriptor");
  }
  if (name.empty() || name.size() > kMaximumNameBytes || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos || name == "." || name == "..") {
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' cannot name a segment: 1 to ",
                                                   kMaximumNameBytes,
                                                   " bytes without '/' or a zero byte"));
  }
  return absl::StrCat("/dev/shm/", name);
}

std::string ProcPath(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

// A file without a name in the directory of `path` (S1). Where the file system has no such files,
// one with a name of its own, told in *temporary.
absl::StatusOr<int> OpenNameless(const std::string& path, std::string* temporary) {
  size_t slash = path.rfind('/');
  std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  int fd = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  if (errno != EOPNOTSUPP && errno != EISDIR) {
    return ErrnoStatus(errno, absl::StrCat("cannot create a segment in '", directory, "'"));
  }
  *temporary = absl::StrCat(directory, "/.kill9-creating-XXXXXX");
  fd = mkostemp(temporary->data(), O_CLOEXEC);
  if (fd < 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot create a segment in '", directory, "'"));
  }
  return fd;
}

absl::Status Publish(int fd, const std::string& temporary, const std::string& path) {
  // linkat fails where the name exists already: two creators cannot both win.
  int result = temporary.empty() ? linkat(AT_FDCWD, ProcPath(fd).c_str(), AT_FDCWD, path.c_str(),
                                          AT_SYMLINK_FOLLOW)
                                 : link(temporary.c_str(), path.c_str());
  if (result == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("cannot name the segment '", path,
                                         "' (if it exists, open it, or remove it first)"));
}

// How a file gets its room: kHuge is for new ones that are memory, and best effort.
enum class Pages : uint8_t { kAsTheyAre, kHuge };
// Gives the whole file its room (S2), so that no access to the mapping can fail later.
absl::Status AllocateRoom(int fd, uint64_t size, Pages pages, const std::string& what) {
  // Beyond this limit the kernel would not say no, it would send SIGXFSZ.
  struct rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      size > limit.rlim_cur) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no room for ", what, " of ", size, " bytes: this process may write files of at most ",
        limit.rlim_cur, " bytes (ulimit -f)"));
  }
  if (pages == Pages::kHuge) AllocateHugePages(fd, size);
  int error = 0;
  do {
    error = posix_fallocate(fd, 0, static_cast<off_t>(size));
  } while (error == EINTR);
  if (error == 0) return absl::OkStatus();
  return ErrnoStatus(error, absl::StrCat("no room for ", what, " of ", size, " bytes"));
}

// A copy of a segment's file may have holes; writing to one on a full disk would be a SIGBUS.
absl::Status FillHoles(int fd, uint64_t size, const std::string& what) {
  struct stat stat{};
  if (fstat(fd, &stat) != 0) return ErrnoStatus(errno, what);
  if (static_cast<uint64_t>(stat.st_blocks) * 512 >= size) return absl::OkStatus();
  return AllocateRoom(fd, size, Pages::kAsTheyAre, what);
}

absl::Status CannotOpen(int error, const SegmentLocation& location, const char* access) {
  // ENXIO is the kernel's word for a socket.
  const char* hint = error == ENXIO ? " (is it a socket?)" : "";
  return ErrnoStatus(error,
                     absl::StrCat("cannot open ", Describe(location), " for ", access, hint));
}

std::string DesignName(const SegmentHeader& header) {
  return std::string(header.design, strnlen(header.design, sizeof header.design));
}

absl::Status ReadHeader(int fd, const std::string& what, SegmentHeader* header,
                        uint64_t* file_bytes) {
  struct stat stat{};
  if (fstat(fd, &stat) != 0) return ErrnoStatus(errno, what);
  if (!S_ISREG(stat.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(what, " is not a regular file"));
  }
  *file_bytes = static_cast<uint64_t>(stat.st_size);
  ssize_t got = pread(fd, header, sizeof *header, 0);
  if (got < 0) return ErrnoStatus(errno, what);
  if (static_cast<size_t>(got) < sizeof header->magic ||
      std::memcmp(header->magic, kMagic, sizeof kMagic) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " is not a kill9 segment: it was left alone"));
  }
  if (static_cast<size_t>(got) < sizeof *header) {
    return absl::DataLossError(absl::StrCat(
        what, " is truncated: ", got, " bytes do not hold a header; remove it and create it anew"));
  }
  if (header->format_version != Segment::kFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, " has format version ", header->format_version, ", this program reads ",
                     Segment::kFormatVersion, ": create it anew, or use the program that made it"));
  }
  if (header->checksum != Checksum(*header)) {
    return absl::DataLossError(absl::StrCat(
        what, " is damaged: its header's checksum is wrong; remove it and create it anew"));
  }
  return absl::OkStatus();
}

absl::Status CheckHeader(const SegmentHeader& header, const std::string& what,
                         const SegmentLayout& layout, uint64_t file_bytes) {
  if (DesignName(header) != layout.design) {
    return absl::FailedPreconditionError(absl::StrCat(what, " was made by design '",
                                                      DesignName(header), "', not by '",
                                                      std::string(layout.design), "'"));
  }
  if (header.layout_version != layout.layout_version ||
      header.ledger_bytes != layout.ledger_bytes) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, " has layout version ", header.layout_version, " of '",
                     DesignName(header), "' (ledgers of ", header.ledger_bytes,
                     " bytes), this program reads ", layout.layout_version, " (",
                     layout.ledger_bytes, "): create it anew, or use the program that made it"));
  }
  if (file_bytes != header.size_bytes) {
    return absl::DataLossError(absl::StrCat(
        what, " is ", file_bytes < header.size_bytes ? "truncated" : "damaged", ": ", file_bytes,
        " bytes instead of ", header.size_bytes, "; remove it and create it anew"));
  }
  uint64_t table = ParticipantTable::Bytes(header.max_participants, header.ledger_bytes);
  if (header.header_bytes != Segment::kHeaderBytes || header.max_participants == 0 ||
      header.max_participants > ParticipantTable::kMaxParticipants ||
      header.body_offset < Segment::kHeaderBytes + table || header.body_offset % 4096 != 0 ||
      header.body_offset >= header.size_bytes) {
    return absl::DataLossError(absl::StrCat(
        what, " is damaged: its header contradicts itself; remove it and create it anew"));
  }
  return absl::OkStatus();
}

}  // namespace

Segment::~Segment() {
  munmap(base_, size_);
  close(fd_);
}

// Takes `fd` over, also on an error.
absl::StatusOr<std::shared_ptr<Segment>> Segment::Map(int fd, size_t size) {
  char* base = MapForHugePages(fd, size);
  if (base == MAP_FAILED) {
    int error = errno;
    close(fd);
    return ErrnoStatus(error,
                       absl::StrCat("cannot map a segment of ", size, " bytes for read and write"));
  }
  return std::shared_ptr<Segment>(new Segment(fd, base, size));
}

absl::StatusOr<std::shared_ptr<Segment>> Segment::Create(const SegmentOptions& options,
                                                         const SegmentLayout& layout,
                                                         Format format) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t size = (options.size_bytes + page - 1) / page * page;
  const uint64_t body_offset =
      (kHeaderBytes + ParticipantTable::Bytes(options.max_participants, layout.ledger_bytes) +
       page - 1) /
      page * page;
  if (options.max_participants == 0 ||
      options.max_participants > ParticipantTable::kMaxParticipants) {
    return absl::InvalidArgumentError(absl::StrCat("max_participants is ", options.max_participants,
                                                   "; 1 to ", ParticipantTable::kMaxParticipants,
                                                   " are possible"));
  }
  if (size < kMinimumBytes || size < options.size_bytes || body_offset + page > size) {
    return absl::InvalidArgumentError(
        absl::StrCat("a segment of ", options.size_bytes, " bytes is too small: at least ",
                     std::max(kMinimumBytes, body_offset + page), " for ", options.max_participants,
                     " participants"));
  }

  std::string path;
  std::string temporary;
  int fd = -1;
  if (options.location.kind == SegmentKind::kAnonymous) {
    // Nothing else limits anonymous memory: asking for more would wake the kernel's out-of-memory
    // killer.
    uint64_t memory = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * page;
    if (size > memory) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no room for a segment of ", size, " bytes: the machine has ", memory));
    }
    fd = memfd_create("kill9", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return ErrnoStatus(errno, "cannot create an anonymous segment");
  } else {
    absl::StatusOr<std::string> name = PathOf(options.location);
    if (!name.ok()) return name.status();
    path = *std::move(name);
    if (access(path.c_str(), F_OK) == 0) {  // said early; linkat decides
      return absl::AlreadyExistsError(
          absl::StrCat(Describe(options.location), " exists already: open it, or remove it first"));
    }
    absl::StatusOr<int> nameless = OpenNameless(path, &temporary);
    if (!nameless.ok()) return nameless.status();
    fd = *nameless;
  }
  absl::Cleanup remove_temporary = [&temporary] {
    if (!temporary.empty()) unlink(temporary.c_str());
  };

  // Of a file only what is used shall become resident, and disks have no huge pages.
  const Pages pages =
      options.location.kind == SegmentKind::kFile ? Pages::kAsTheyAre : Pages::kHuge;
  if (absl::Status status = AllocateRoom(fd, size, pages, "a segment"); !status.ok()) {
    close(fd);
    return status;
  }
  if (options.location.kind == SegmentKind::kAnonymous) {
    fcntl(fd, F_ADD_SEALS,
          F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);  // best effort: no SIGBUS later
  }
  absl::StatusOr<std::shared_ptr<Segment>> segment = Map(fd, size);
  if (!segment.ok()) return segment.status();

  SegmentHeader& header = *reinterpret_cast<SegmentHeader*>((*segment)->base_);
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.format_version = kFormatVersion;
  header.header_bytes = kHeaderBytes;
  layout.design.copy(header.design, sizeof header.design - 1);
  header.layout_version = layout.layout_version;
  header.max_participants = options.max_participants;
  header.size_bytes = size;
  header.ledger_bytes = layout.ledger_bytes;
  header.body_offset = body_offset;
  if (options.hash_seed.has_value()) {
    XXH3_generateSecret_fromSeed(header.hash_secret, *options.hash_seed);
  } else if (getrandom(header.hash_secret, kHashSecretBytes, 0) != kHashSecretBytes) {
    return ErrnoStatus(errno, "cannot draw a hash secret");
  }
  (*segment)->body_offset_ = body_offset;
  if (absl::Status status = format(**segment, header); !status.ok()) return status;
  header.checksum = Checksum(header);

  if (options.location.kind != SegmentKind::kAnonymous) {
    if (absl::Status status = Publish(fd, temporary, path); !status.ok()) return status;
  }
  return segment;
}

absl::StatusOr<std::shared_ptr<Segment>> Segment::Open(const SegmentLocation& location,
                                                       const SegmentLayout& layout) {
  absl::StatusOr<std::string> path = PathOf(location);
  if (!path.ok()) return path.status();
  int fd = open(path->c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not hang us
  if (fd < 0) return CannotOpen(errno, location, "read and write");
  SegmentHeader header{};
  uint64_t file_bytes = 0;
  absl::Status status = ReadHeader(fd, Describe(location), &header, &file_bytes);
  if (status.ok()) status = CheckHeader(header, Describe(location), layout, file_bytes);
  if (status.ok()) status = FillHoles(fd, file_bytes, Describe(location));
  if (!status.ok()) {
    close(fd);
    return status;
  }
  absl::StatusOr<std::shared_ptr<Segment>> segment = Map(fd, file_bytes);
  if (segment.ok()) (*segment)->body_offset_ = header.body_offset;
  return segment;
}

absl::StatusOr<std::shared_ptr<Segment>> Segment::FromFd(int fd, const SegmentLayout& layout) {
  SegmentHeader header{};
  uint64_t file_bytes = 0;
  absl::Status status = ReadHeader(fd, "the descriptor's file", &header, &file_bytes);
  if (status.ok()) status = CheckHeader(header, "the descriptor's file", layout, file_bytes);
  if (status.ok()) status = FillHoles(fd, file_bytes, "the descriptor's file");
  if (!status.ok()) {
    close(fd);
    return status;
  }
  absl::StatusOr<std::shared_ptr<Segment>> segment = Map(fd, file_bytes);
  if (segment.ok()) (*segment)->body_offset_ = header.body_offset;
  return segment;
}

absl::Status Segment::Unlink(const SegmentLocation& location) {
  absl::StatusOr<std::string> path = PathOf(location);
  if (!path.ok()) return path.status();
  const int result = unlink(path->c_str());
  const int error = errno;
  std::error_code ignored;  // usually there is none
  std::filesystem::remove_all(absl::StrCat(*path, kDirectorySuffix), ignored);
  if (result == 0) return absl::OkStatus();
  return ErrnoStatus(error, absl::StrCat("cannot remove ", Describe(location)));
}

absl::StatusOr<std::string> Segment::DirectoryOf(const SegmentLocation& location) {
  absl::StatusOr<std::string> path = PathOf(location);
  if (!path.ok()) return path.status();
  return absl::StrCat(*path, kDirectorySuffix);
}

absl::StatusOr<std::string> Segment::DesignOf(const SegmentLocation& location) {
  absl::StatusOr<std::string> path = PathOf(location);
  if (!path.ok()) return path.status();
  int fd = open(path->c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return CannotOpen(errno, location, "read");
  SegmentHeader header{};
  uint64_t file_bytes = 0;
  absl::Status status = ReadHeader(fd, Describe(location), &header, &file_bytes);
  close(fd);
  if (!status.ok()) return status;
  return DesignName(header);
}

ParticipantTable Segment::participants() const {
  return ParticipantTable(base_ + kHeaderBytes, header().max_participants, header().ledger_bytes,
                          fd_);
}

namespace {

[[gnu::noinline]] uint64_t HashLong(std::string_view key, const unsigned char* secret) {
  return XXH3_64bits_withSecret(key.data(), key.size(), secret, kHashSecretBytes);
}

}  // namespace

[[gnu::flatten]] uint64_t Segment::Hash(std::string_view key) const {
  const unsigned char* secret = header().hash_secret;
  // The same function: what it does with short keys is inlined here, without the rest.
  if (key.size() > 16) return HashLong(key, secret);
  return XXH3_64bits_withSecret(key.data(), key.size(), secret, kHashSecretBytes);
}

}  // namespace kill9
