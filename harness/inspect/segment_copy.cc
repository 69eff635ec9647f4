#include "harness/inspect/segment_copy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "variants/segment/byte_lock.h"
#include "variants/segment/file/segment_file.h"

namespace kill9::inspect {
namespace {

// Of a segment without a name: the link stands for the file itself.
bool IsDescriptorOfAProcess(const std::string& place) {
  return absl::StartsWith(place, "/proc/") && absl::StrContains(place, "/fd/");
}

// A file of the current folder is easily taken for a name.
absl::Status WithTheFileOfThatName(const absl::Status& status, const SegmentLocation& location) {
  const bool is_file = location.kind == SegmentKind::kNamed && absl::IsNotFound(status) &&
                       access(location.name.c_str(), F_OK) == 0;
  if (!is_file) return status;
  return absl::NotFoundError(absl::StrCat(std::string(status.message()), "; the file of that name ",
                                          "is './", location.name, "'"));
}

absl::StatusOr<int> OpenFile(const std::string& place) {
  if (IsDescriptorOfAProcess(place)) {
    const int fd = open(place.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) return fd;
    return segment_file::ErrnoStatus(errno, absl::StrCat("cannot open ", place));
  }
  SegmentLocation location{SegmentKind::kNamed, place, true};
  if (absl::StrContains(place, '/')) location.kind = SegmentKind::kFile;
  // Which says what is wrong with it, if anything is.
  if (absl::StatusOr<std::string> name = Segment::DesignOf(location); !name.ok()) {
    return WithTheFileOfThatName(name.status(), location);
  }
  return segment_file::OpenExisting(location, O_RDONLY);
}

// Reads all of `into`, from the file's beginning; what is behind the file's end stays.
absl::Status ReadAll(int fd, std::span<char> into) {
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(done));
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return segment_file::ErrnoStatus(errno, "cannot read the segment");
    done += static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

// Whether a second reading finds what the first one has found.
absl::StatusOr<bool> ReadsTheSame(int fd, std::span<const char> first) {
  std::vector<char> piece(std::min<size_t>(first.size(), 1 << 20));
  for (size_t at = 0; at < first.size();) {
    const size_t bytes = std::min(piece.size(), first.size() - at);
    const ssize_t got = pread(fd, piece.data(), bytes, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return segment_file::ErrnoStatus(errno, "cannot read the segment");
    if (got == 0) return false;
    if (std::memcmp(piece.data(), first.data() + at, static_cast<size_t>(got)) != 0) return false;
    at += static_cast<size_t>(got);
  }
  return true;
}

}  // namespace

absl::StatusOr<SegmentFile> SegmentFile::Open(const std::string& place) {
  absl::StatusOr<int> fd = OpenFile(place);
  if (!fd.ok()) return fd.status();
  absl::Cleanup close_it = [&fd] { close(*fd); };
  SegmentHeader header{};
  if (pread(*fd, &header, sizeof header, 0) != sizeof header) {
    return absl::InvalidArgumentError(absl::StrCat(place, " is not a kill9 segment"));
  }
  struct stat stat {};
  if (fstat(*fd, &stat) != 0) return segment_file::ErrnoStatus(errno, place);
  // The rest of the header is checked with the copy; by these two it is read.
  const uint64_t bytes = static_cast<uint64_t>(stat.st_size);
  if (header.max_participants > ParticipantTable::kMaxParticipants || header.ledger_bytes > bytes ||
      ParticipantTable::Bytes(header.max_participants, header.ledger_bytes) > bytes) {
    return absl::DataLossError(
        absl::StrCat(place, " is damaged: its header tells of more than its file has"));
  }
  const std::string name(header.design, strnlen(header.design, sizeof header.design));
  const Design* design = FindDesign(name);
  if (design == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat(place, " was made by design '", absl::CEscape(name),
                     "', which this program does not have (kill9 list; --plugin brings another)"));
  }
  std::move(close_it).Cancel();
  return SegmentFile(*fd, design, header);
}

SegmentFile::SegmentFile(SegmentFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), design_(other.design_), header_(other.header_) {}

SegmentFile::~SegmentFile() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<std::vector<Attached>> SegmentFile::WhoIsAttached(const SegmentUsers& users) const {
  const uint64_t bytes = ParticipantTable::Bytes(header_.max_participants, header_.ledger_bytes);
  std::vector<char> table_bytes(Segment::kHeaderBytes + bytes + 64);
  // Aligned as in a segment, whose words are read by it.
  char* const begin =
      reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(table_bytes.data()) + 63) / 64 * 64);
  if (absl::Status status = ReadAll(fd_, {begin, Segment::kHeaderBytes + bytes}); !status.ok()) {
    return status;
  }
  const ParticipantTable table(begin + Segment::kHeaderBytes, header_.max_participants,
                               header_.ledger_bytes, nullptr);
  std::vector<Attached> all;
  for (uint32_t slot = 0; slot < table.size(); ++slot) {
    const ParticipantState state = table.state(slot);
    if (state != ParticipantState::kInUse && state != ParticipantState::kDead) continue;
    Attached one{slot, table.generation(slot), false, slot >= header_.max_participants, {}};
    one.lives = state == ParticipantState::kInUse && IsByteLocked(fd_, ProofLockByte(slot));
    const auto process = users.by_slot.find(slot);
    if (one.lives && process != users.by_slot.end()) one.process = process->second;
    all.push_back(std::move(one));
  }
  return all;
}

absl::StatusOr<SegmentFile::Copy> SegmentFile::MakeCopy(int tries) const {
  struct stat stat {};
  if (fstat(fd_, &stat) != 0) return segment_file::ErrnoStatus(errno, "the segment");
  const size_t bytes = static_cast<size_t>(stat.st_size);
  const int fd = memfd_create("kill9 inspect", MFD_CLOEXEC);
  if (fd < 0) return segment_file::ErrnoStatus(errno, "no memory for a copy");
  absl::Cleanup close_it = [fd] { close(fd); };
  if (absl::Status status = segment_file::AllocateRoom(fd, bytes, segment_file::Pages::kAsTheyAre,
                                                       "a copy of the segment");
      !status.ok()) {
    return status;
  }
  void* const base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return segment_file::ErrnoStatus(errno, "no memory for a copy");
  const absl::Cleanup unmap = [base, bytes] { munmap(base, bytes); };
  const std::span<char> whole(static_cast<char*>(base), bytes);
  Copy copy{fd, false};
  for (int n = 0; n < tries && !copy.of_one_moment; ++n) {
    if (absl::Status status = ReadAll(fd_, whole); !status.ok()) return status;
    absl::StatusOr<bool> same = ReadsTheSame(fd_, whole);
    if (!same.ok()) return same.status();
    copy.of_one_moment = *same;
  }
  std::move(close_it).Cancel();
  return copy;
}

}  // namespace kill9::inspect
