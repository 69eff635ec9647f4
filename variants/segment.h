// A segment: one shared mapping with a header, the participants' table and a body that its design
// lays out.
//
//     offset 0                 SegmentHeader, immutable once the segment is visible
//     kHeaderBytes             participants and their ledgers (ParticipantTable)
//     terms_offset             of a segment that keeps terms: what its participants share of them
//     header.body_offset       the design's own structures, to the end
//
// Three kinds: anonymous (a memfd: inherited by fork, or passed as a file descriptor), named (POSIX
// shared memory, /dev/shm) and file.
//
// S1  A segment is created as a nameless file (O_TMPFILE), laid out completely, and only then
//     linked to its name: whoever opens the name finds a complete segment or none, and a creator
//     that dies leaves nothing. Where the file system has no nameless files, a creator that dies
//     leaves one with a temporary name, which the next creator in that directory removes.
// S2  Its room is allocated at creation: a full disk is an error of Create, never a SIGBUS later.
//     One that grows is mapped as a whole, and touched only where Grow has allocated room.
// S3  Open checks the header and the length through read(2) before it maps anything: what is
//     truncated, foreign, damaged, of another version, design or size is an error that says so. A
//     copy with holes gets its room first (S2).
// S4  Offsets, never addresses, are stored in a segment; processes may map it anywhere.
// S5  Nobody else can read or write a segment (mode 0600), unless its owner changes that. Open
//     refuses what another user owns, and names that are symbolic links (docs/threat_model.md).
//     Unlink removes segments only, and of directories only those that MakeDirectory made.
// S6  A segment's file may be a copy, or of before a restart of the machine, taken in the middle of
//     any operation: Open takes it as any other. Nobody believes what it says of participants and
//     of who holds a mutex: locks on the file's own bytes tell who lives, and the first participant
//     that attaches resets what nobody living can hold.
#ifndef KILL9_VARIANTS_SEGMENT_H_
#define KILL9_VARIANTS_SEGMENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "variants/segment/participants.h"

namespace kill9 {

enum class SegmentKind : uint8_t { kAnonymous, kNamed, kFile };

struct SegmentLocation {
  SegmentKind kind = SegmentKind::kAnonymous;
  std::string name;  // named: without slashes, at most 200 bytes; file: a path; anonymous: empty
  // Open what another user owns as well. That user can read all that is stored, change it, and by
  // truncating the file end who uses it (SIGBUS).
  bool of_any_user = false;
};

struct SegmentOptions {
  SegmentLocation location;
  uint64_t size_bytes = 64u << 20;  // the whole segment; rounded up to pages; at least 64 KiB
  uint32_t max_participants = 64;   // 1 to 4096
  // Sizes the index; 0: the design chooses by size_bytes. At most size_bytes.
  uint64_t expected_entries = 0;
  uint32_t stripes = 0;  // for designs that have them, a power of two; 0: by core count
  // Entries carry terms (store.h): a deadline, a mark, a lease. Of stores whose traits say so.
  bool keeps_terms = false;
  std::optional<uint64_t> hash_seed;  // fixed for repeatable runs; otherwise drawn by the kernel
};

inline constexpr size_t kHashSecretBytes = 192;

struct SegmentHeader {
  char magic[8];
  uint32_t format_version;
  uint32_t header_bytes;
  char design[32];          // zero-padded
  uint32_t layout_version;  // the design's own
  uint32_t max_participants;
  uint64_t size_bytes;
  uint64_t ledger_bytes;  // of each participant
  uint64_t body_offset;
  uint64_t terms_offset;   // 0: the segment keeps no terms
  uint64_t parameters[8];  // the design's own
  unsigned char hash_secret[kHashSecretBytes];
  uint64_t checksum;  // of all bytes before it
};
static_assert(std::is_trivially_copyable_v<SegmentHeader> &&
              std::is_standard_layout_v<SegmentHeader> &&
              std::has_unique_object_representations_v<SegmentHeader>);

// What a design says of its segments.
struct SegmentLayout {
  std::string_view design;  // at most 31 bytes
  uint32_t layout_version = 1;
  size_t ledger_bytes = 0;
  // The file is made longer by and by, up to size_bytes (Segment::Grow), and is never made shorter.
  // It may be opened at any length, which its design must ask for (file_bytes).
  bool grows = false;
  uint64_t first_body_bytes = 0;  // of one that grows: how much of its body is there at creation
  bool can_keep_terms = false;
};

// kDataLoss: what an operation says that has met damage in a segment's body.
absl::Status Damaged();

class Segment {
 public:
  static constexpr size_t kHeaderBytes = 4096;
  static constexpr uint32_t kFormatVersion = 3;

  // Where the body of a segment begins: at a page.
  static uint64_t BodyOffset(uint32_t max_participants, size_t ledger_bytes);

  // Fills in header.parameters and lays out the (zeroed) body. Nobody else sees the segment yet.
  using Format = absl::FunctionRef<absl::Status(Segment& segment, SegmentHeader& header)>;

  // Errors: kAlreadyExists, kPermissionDenied, kResourceExhausted (no room), kInvalidArgument.
  static absl::StatusOr<std::shared_ptr<Segment>> Create(const SegmentOptions& options,
                                                         const SegmentLayout& layout,
                                                         Format format);
  // Errors: kNotFound, kPermissionDenied, kInvalidArgument (not a segment), kFailedPrecondition
  // (another version or design), kDataLoss (truncated or damaged). kPermissionDenied also of a file
  // that another user owns (SegmentLocation::of_any_user). Waits for nobody, whatever the bytes
  // say.
  static absl::StatusOr<std::shared_ptr<Segment>> Open(const SegmentLocation& location,
                                                       const SegmentLayout& layout);
  // Takes over (on an error too) a descriptor of a segment that another process passed on, whoever
  // owns the file: who takes a descriptor trusts its sender.
  static absl::StatusOr<std::shared_ptr<Segment>> FromFd(int fd, const SegmentLayout& layout);
  // Removes the segment's name, and its directory (MakeDirectory); attached processes go on. A
  // damaged segment is one, too. Errors: kNotFound, kPermissionDenied; kInvalidArgument: what has
  // the name is no segment, and stays.
  static absl::Status Unlink(const SegmentLocation& location);
  // Where a store that wants files of its own keeps them: a directory beside the segment's name.
  // kInvalidArgument for an anonymous segment.
  static absl::StatusOr<std::string> DirectoryOf(const SegmentLocation& location);
  // Makes it. kAlreadyExists: there is one, and not an empty one.
  static absl::StatusOr<std::string> MakeDirectory(const SegmentLocation& location);
  // Removes it and all in it, if MakeDirectory made it.
  static void RemoveDirectory(const SegmentLocation& location);
  // The design's name in a segment's header, to choose the variant that opens it.
  static absl::StatusOr<std::string> DesignOf(const SegmentLocation& location);

  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  const SegmentHeader& header() const { return *reinterpret_cast<const SegmentHeader*>(base_); }
  char* base() const { return base_; }
  size_t size() const { return size_; }
  int fd() const { return fd_.number(); }
  // Whether fd() is still the segment's: a program may have closed it (object.h). A system call.
  bool has_descriptor() const { return fd_.Intact(); }
  // How long the file is. kFailedPrecondition: the program has closed the descriptor.
  absl::StatusOr<uint64_t> file_bytes() const;
  // Gives the file room for the first `bytes` of the segment: from then on they can be touched, by
  // all who have mapped it. `have_bytes`: how much room there surely is. kResourceExhausted if
  // there is no room, or no descriptor. ON CRASH: the file is as long as it was, or longer.
  absl::Status Grow(uint64_t have_bytes, uint64_t bytes);
  std::span<char> body() const { return {base_ + body_offset_, size_ - body_offset_}; }
  bool keeps_terms() const { return terms_offset_ != 0; }
  // REQUIRES: keeps_terms(). Of the kind's contract (segment/terms.h): zero at creation.
  char* terms_area() const { return base_ + terms_offset_; }
  ParticipantTable participants() const;
  // The seeded hash: the same in every process that maps this segment.
  uint64_t Hash(std::string_view key) const;

 private:
  Segment(int fd, char* base, size_t size) : fd_(fd), base_(base), size_(size) {}
  static absl::StatusOr<std::shared_ptr<Segment>> Map(int fd, size_t size);
  // Takes `fd` over, also on an error.
  static absl::StatusOr<std::shared_ptr<Segment>> FromChecked(int fd, const std::string& what,
                                                              const SegmentLayout& layout);

  Descriptor fd_;
  char* base_;
  size_t size_;
  // As the header said when it was checked: what is there later may be damaged.
  size_t body_offset_ = 0;
  size_t terms_offset_ = 0;
};

}  // namespace kill9

#endif  // KILL9_VARIANTS_SEGMENT_H_
