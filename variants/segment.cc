#include "variants/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "variants/segment/file/huge_pages.h"
#include "variants/segment/file/segment_file.h"
#include "variants/segment/hash.h"
#include "variants/segment/terms.h"

namespace kill9 {

using segment_file::AllocateRoom;
using segment_file::Describe;
using segment_file::ErrnoStatus;
using segment_file::FillHoles;
using segment_file::NewFile;
using segment_file::Pages;
using segment_file::PathOf;

namespace {

constexpr char kMagic[8] = {'k', 'i', 'l', 'l', '9', 's', 'e', 'g'};
constexpr uint64_t kMinimumBytes = 64 << 10;
constexpr uint64_t kMaximumFileBytes = INT64_MAX;  // off_t
constexpr const char* kDirectorySuffix = ".files";

uint64_t Checksum(const SegmentHeader& header) {
  return XXH3_64bits(&header, offsetof(SegmentHeader, checksum));
}

std::string DesignName(const SegmentHeader& header) {
  return std::string(header.design, strnlen(header.design, sizeof header.design));
}

absl::Status ReadHeader(int fd, const std::string& what, SegmentHeader* header,
                        uint64_t* file_bytes) {
  struct stat stat {};
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
  const bool may_be_shorter = layout.grows && file_bytes < header.size_bytes;
  if (file_bytes != header.size_bytes && !may_be_shorter) {
    return absl::DataLossError(absl::StrCat(
        what, " is ", file_bytes < header.size_bytes ? "truncated" : "damaged", ": ", file_bytes,
        " bytes instead of ", header.size_bytes, "; remove it and create it anew"));
  }
  const uint64_t table = ParticipantTable::Bytes(header.max_participants, header.ledger_bytes);
  const uint64_t terms = header.terms_offset == 0 ? 0 : terms::AreaBytes(header.max_participants);
  if (header.header_bytes != Segment::kHeaderBytes || header.max_participants == 0 ||
      header.max_participants > ParticipantTable::kMaxParticipants ||
      header.body_offset < Segment::kHeaderBytes + table + terms ||
      header.body_offset % 4096 != 0 || header.body_offset >= header.size_bytes ||
      (terms != 0 && header.terms_offset != header.body_offset - terms)) {
    return absl::DataLossError(absl::StrCat(
        what, " is damaged: its header contradicts itself; remove it and create it anew"));
  }
  if (may_be_shorter && file_bytes <= header.body_offset) {
    return absl::DataLossError(absl::StrCat(what, " is truncated: ", file_bytes,
                                            " bytes do not hold what its header tells of; remove "
                                            "it and create it anew"));
  }
  return absl::OkStatus();
}

// Whether these sizes make a segment whose body has at least a page.
absl::Status CheckSizes(const SegmentOptions& options, uint64_t size, uint64_t body_offset) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
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
  if (options.expected_entries > size) {
    return absl::InvalidArgumentError(
        absl::StrCat("a segment of ", size, " bytes cannot hold the expected ",
                     options.expected_entries, " entries: at most one for each byte"));
  }
  return absl::OkStatus();
}

// Where the file of a new segment comes to lie; empty: the segment is anonymous.
absl::StatusOr<std::string> PathOfNew(const SegmentOptions& options, uint64_t size) {
  if (options.location.kind == SegmentKind::kAnonymous) {
    // Nothing else limits anonymous memory: asking for more would wake the kernel's out-of-memory
    // killer.
    const uint64_t memory = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                            static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    if (size > memory) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no room for a segment of ", size, " bytes: the machine has ", memory));
    }
    return std::string();
  }
  if (size > kMaximumFileBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a segment of ", size, " bytes is too large: a file has at most ", kMaximumFileBytes));
  }
  absl::StatusOr<std::string> path = PathOf(options.location);
  if (path.ok() && access(path->c_str(), F_OK) == 0) {  // said early; Publish decides
    return absl::AlreadyExistsError(
        absl::StrCat(Describe(options.location), " exists already: open it, or remove it first"));
  }
  return path;
}

}  // namespace

Segment::~Segment() { munmap(base_, size_); }

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

absl::Status Damaged() {
  return absl::DataLossError(
      "the segment is damaged: what it says of itself contradicts itself; create it anew");
}

uint64_t Segment::BodyOffset(uint32_t max_participants, size_t ledger_bytes) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t table_end = kHeaderBytes + ParticipantTable::Bytes(max_participants, ledger_bytes);
  return (table_end + page - 1) / page * page;
}

absl::StatusOr<std::shared_ptr<Segment>> Segment::Create(const SegmentOptions& options,
                                                         const SegmentLayout& layout,
                                                         Format format) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t size = (options.size_bytes + page - 1) / page * page;
  const uint64_t terms_offset = BodyOffset(options.max_participants, layout.ledger_bytes);
  if (options.keeps_terms && !layout.can_keep_terms) {
    return absl::UnimplementedError(absl::StrCat("segments of '", std::string(layout.design),
                                                 "' cannot keep terms (deadlines, leases)"));
  }
  const uint64_t body_offset =
      terms_offset + (options.keeps_terms ? terms::AreaBytes(options.max_participants) : 0);
  if (absl::Status status = CheckSizes(options, size, body_offset); !status.ok()) return status;
  absl::StatusOr<std::string> path = PathOfNew(options, size);
  if (!path.ok()) return path.status();
  absl::StatusOr<NewFile> file = path->empty() ? NewFile::Anonymous() : NewFile::In(*path);
  if (!file.ok()) return file.status();

  // Of a file only what is used shall become resident, and disks have no huge pages.
  const Pages pages =
      options.location.kind == SegmentKind::kFile ? Pages::kAsTheyAre : Pages::kHuge;
  const uint64_t first_bytes =
      layout.grows ? std::min(size, body_offset + layout.first_body_bytes) : size;
  if (absl::Status status = AllocateRoom(file->fd(), first_bytes, pages, "a segment");
      !status.ok()) {
    return status;
  }
  if (options.location.kind == SegmentKind::kAnonymous) {  // best effort: no SIGBUS later
    const int seals = F_SEAL_SHRINK | F_SEAL_SEAL | (layout.grows ? 0 : F_SEAL_GROW);
    fcntl(file->fd(), F_ADD_SEALS, seals);
  }
  absl::StatusOr<std::shared_ptr<Segment>> segment = Map(file->Release(), size);
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
  header.terms_offset = options.keeps_terms ? terms_offset : 0;
  header.body_offset = body_offset;
  if (options.hash_seed.has_value()) {
    XXH3_generateSecret_fromSeed(header.hash_secret, *options.hash_seed);
  } else if (getrandom(header.hash_secret, kHashSecretBytes, 0) != kHashSecretBytes) {
    return ErrnoStatus(errno, "cannot draw a hash secret");
  }
  (*segment)->body_offset_ = body_offset;
  (*segment)->terms_offset_ = header.terms_offset;
  if (absl::Status status = format(**segment, header); !status.ok()) return status;
  header.checksum = Checksum(header);

  if (options.location.kind != SegmentKind::kAnonymous) {
    if (absl::Status status = file->Publish((*segment)->fd(), *path); !status.ok()) {
      return status;
    }
  }
  return segment;
}

absl::StatusOr<std::shared_ptr<Segment>> Segment::Open(const SegmentLocation& location,
                                                       const SegmentLayout& layout) {
  absl::StatusOr<int> fd = segment_file::OpenExisting(location, O_RDWR);
  if (!fd.ok()) return fd.status();
  return FromChecked(*fd, Describe(location), layout);
}

absl::StatusOr<std::shared_ptr<Segment>> Segment::FromFd(int fd, const SegmentLayout& layout) {
  return FromChecked(fd, "the descriptor's file", layout);
}

absl::StatusOr<std::shared_ptr<Segment>> Segment::FromChecked(int fd, const std::string& what,
                                                              const SegmentLayout& layout) {
  SegmentHeader header{};
  uint64_t file_bytes = 0;
  absl::Status status = ReadHeader(fd, what, &header, &file_bytes);
  if (status.ok()) status = CheckHeader(header, what, layout, file_bytes);
  if (status.ok()) status = FillHoles(fd, file_bytes, what);
  if (!status.ok()) {
    close(fd);
    return status;
  }
  absl::StatusOr<std::shared_ptr<Segment>> segment = Map(fd, header.size_bytes);
  if (segment.ok()) {
    (*segment)->body_offset_ = header.body_offset;
    (*segment)->terms_offset_ = header.terms_offset;
  }
  return segment;
}

absl::StatusOr<uint64_t> Segment::file_bytes() const {
  struct stat stat {};
  if (!fd_.Intact() || fstat(fd_.number(), &stat) != 0) {
    return absl::FailedPreconditionError("the program has closed the segment's descriptor");
  }
  return static_cast<uint64_t>(stat.st_size);
}

absl::Status Segment::Grow(uint64_t have_bytes, uint64_t bytes) {
  if (bytes > size_) {
    return absl::ResourceExhaustedError(absl::StrCat("the segment has at most ", size_, " bytes"));
  }
  if (!fd_.Intact()) {
    return absl::ResourceExhaustedError(
        "the program has closed the segment's descriptor (closefrom?): the segment cannot grow");
  }
  return segment_file::ExtendRoom(fd_.number(), have_bytes, bytes, "a longer segment");
}

absl::Status Segment::Unlink(const SegmentLocation& location) {
  absl::StatusOr<std::string> path = PathOf(location);
  if (!path.ok()) return path.status();
  // Also of a segment that is gone: its creator may have been killed between the two.
  const absl::Cleanup remove_directory = [&path] {
    segment_file::RemoveDirectory(absl::StrCat(*path, kDirectorySuffix));
  };
  SegmentLocation any = location;
  any.of_any_user = true;  // the directory's permissions decide who may remove a name
  absl::StatusOr<int> fd = segment_file::OpenExisting(any, O_RDONLY);
  if (!fd.ok()) return fd.status();
  SegmentHeader header{};
  uint64_t file_bytes = 0;
  absl::Status status = ReadHeader(*fd, Describe(location), &header, &file_bytes);
  close(*fd);
  // What is damaged, or another version's, is a segment all the same.
  if (absl::IsInvalidArgument(status)) return status;
  if (unlink(path->c_str()) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("cannot remove ", Describe(location)));
}

absl::StatusOr<std::string> Segment::DirectoryOf(const SegmentLocation& location) {
  absl::StatusOr<std::string> path = PathOf(location);
  if (!path.ok()) return path.status();
  return absl::StrCat(*path, kDirectorySuffix);
}

absl::StatusOr<std::string> Segment::MakeDirectory(const SegmentLocation& location) {
  absl::StatusOr<std::string> directory = DirectoryOf(location);
  if (!directory.ok()) return directory.status();
  if (absl::Status status = segment_file::MakeDirectory(*directory); !status.ok()) return status;
  return directory;
}

void Segment::RemoveDirectory(const SegmentLocation& location) {
  if (absl::StatusOr<std::string> directory = DirectoryOf(location); directory.ok()) {
    segment_file::RemoveDirectory(*directory);
  }
}

absl::StatusOr<std::string> Segment::DesignOf(const SegmentLocation& location) {
  absl::StatusOr<int> fd = segment_file::OpenExisting(location, O_RDONLY);
  if (!fd.ok()) return fd.status();
  SegmentHeader header{};
  uint64_t file_bytes = 0;
  absl::Status status = ReadHeader(*fd, Describe(location), &header, &file_bytes);
  close(*fd);
  if (!status.ok()) return status;
  return DesignName(header);
}

ParticipantTable Segment::participants() const {
  return ParticipantTable(base_ + kHeaderBytes, header().max_participants, header().ledger_bytes,
                          &fd_);
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
