#include "variants/peers/peer.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace kill9::peers {
namespace {

constexpr uint64_t kAnchorBytes = 256 << 10;  // header, participants' table, body

}  // namespace

absl::StatusOr<std::shared_ptr<Segment>> CreateAnchor(
    const SegmentOptions& options, std::string_view design,
    absl::FunctionRef<absl::Status(const Anchor&)> make) {
  if (options.location.kind == SegmentKind::kAnonymous) {
    return absl::UnimplementedError(absl::StrCat(
        std::string(design), " keeps its data in files: give the segment a name, or a path"));
  }
  absl::StatusOr<std::string> directory = Segment::DirectoryOf(options.location);
  if (!directory.ok()) return directory.status();
  Anchor anchor{};
  if (directory->size() >= sizeof anchor.directory) {
    return absl::InvalidArgumentError(absl::StrCat("'", *directory, "' is too long a path"));
  }
  directory->copy(anchor.directory, sizeof anchor.directory - 1);
  anchor.size_bytes = options.size_bytes;
  anchor.expected_entries = options.expected_entries;
  anchor.max_participants = options.max_participants;
  SegmentOptions small = options;
  small.size_bytes = kAnchorBytes;
  small.expected_entries = 0;
  small.max_participants = 1;  // the library counts its own
  bool made_directory = false;
  absl::StatusOr<std::shared_ptr<Segment>> segment =
      Segment::Create(small, {.design = design}, [&](Segment& self, SegmentHeader&) {
        if (absl::Status status = Segment::MakeDirectory(options.location).status(); !status.ok()) {
          return status;
        }
        made_directory = true;
        std::memcpy(self.body().data(), &anchor, sizeof anchor);
        return make(anchor);
      });
  if (!segment.ok() && made_directory) Segment::RemoveDirectory(options.location);
  return segment;
}

const Anchor& AnchorOf(const Segment& segment) {
  return *reinterpret_cast<const Anchor*>(segment.body().data());
}

LateLibrary::LateLibrary(const char* file)
    : file_(file), handle_(dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) missing_ = file;
}

void* LateLibrary::Address(const char* name) {
  void* const address = handle_ == nullptr ? nullptr : dlsym(handle_, name);
  if (address == nullptr && missing_.empty()) missing_ = name;
  return address;
}

absl::Status LateLibrary::status() const {
  if (missing_.empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(file_, ": ", missing_, " is missing"));
}

absl::Status PeerStore::Failed(std::string_view call, std::string_view message) const {
  return absl::DataLossError(absl::StrCat(std::string(call), ": ", std::string(message)));
}

size_t FileStore::max_value_bytes() const {
  return std::min<uint64_t>(AnchorOf(segment()).size_bytes, 1u << 30);
}

absl::StatusOr<bool> FileStore::DoErase(std::string_view key) {
  const absl::Status status = Remove(key);
  if (absl::IsNotFound(status)) return false;
  if (!status.ok()) return status;
  return true;
}

absl::Status FileStore::DoForEach(absl::FunctionRef<bool(const EntryView&)> visit) {
  Entries entries;
  if (absl::Status status = CopyAll(&entries); !status.ok()) return status;
  for (const auto& [key, value] : entries) {
    if (!visit({key, value, kAbsent})) break;
  }
  return absl::OkStatus();
}

}  // namespace kill9::peers
