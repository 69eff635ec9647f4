#include "harness/pool_driver/pool_client.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "harness/torture/run_statistics.h"
#include "variants/buffers/layout.h"

namespace kill9 {
namespace {

constexpr uint64_t kValuesOfBuffers = 0;
constexpr int64_t kLongestWaitUs = 1000;
constexpr uint64_t kMostRoom = 300;  // at an end
// Filling: first the large ones, then what is left. Of a large segment the first are larger.
constexpr uint64_t kFillBytes[] = {4000, 250, 8};
constexpr uint64_t kMostFirstFills = 1024;

bool IsNoRoom(const absl::Status& status) { return absl::IsDeadlineExceeded(status); }
// Whether who would have to wait was told that there is nothing, or nobody who could help it.
bool IsNothing(const absl::Status& status) {
  return IsNoRoom(status) || absl::IsUnavailable(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SharedObject>> PoolClient::AttachObject() {
  return PoolMember::Attach(segment(), *through_.design, through_.segment);
}

void PoolClient::Attached() {
  seats_ = 0;
  boards_.seats[slot_].Sit(pool().id());
  const uint32_t place = pool().id().slot;
  for (uint32_t number = 0; number < buffers::kMarks; ++number) {
    if (pool().mark(place, number).load(std::memory_order_seq_cst) == 0) continue;
    Fail(Verdict::kViolation, "a participant begins with a mark of the one before it");
  }
  pool().mark(place, kOwnMark).store(process() + 1, std::memory_order_seq_cst);
}

Deadline PoolClient::NextDeadline(Random& random) const {
  // Two that hold something would wait for each other's, for ever.
  const bool may_wait_forever = slot_ >= kNeverWaitForever && views_.empty();
  if (may_wait_forever && random.Chance(workload_.waits_forever)) return Deadline::Never();
  if (!random.Chance(workload_.waits)) return Deadline::None();
  return Deadline::After(std::chrono::microseconds(random.Below(kLongestWaitUs)));
}

bool PoolClient::Act(Random& random) {
  if (random.Chance(workload_.rests)) return false;
  if (workload_.all_wait) {
    AwaitRoom(random);
    return true;
  }
  if (workload_.last_room && random.Chance(500)) {
    PassRoomOn();
    return true;
  }
  uint64_t draw = random.Below(1000);
  const auto is_due = [&draw](uint16_t share) {
    const bool due = draw < share;
    draw -= share;  // beyond all shares where it is due
    return due;
  };
  if (is_due(workload_.sends)) {
    Send(random);
  } else if (is_due(workload_.receives)) {
    // Who waits for a message for ever may be the last one to send.
    Deadline deadline = NextDeadline(random);
    if (deadline.forever()) deadline = Deadline::None();
    if (views_.size() < workload_.most_held) Receive(deadline);
  } else if (is_due(workload_.shares)) {
    Share(random);
  } else if (is_due(workload_.writes)) {
    Write(random);
  } else if (is_due(workload_.grows)) {
    Grow(random);
  } else if (is_due(workload_.verifies)) {
    if (!views_.empty()) Verify("a buffer held", views_[random.Below(views_.size())]);
    CheckSeats();
  } else if (is_due(workload_.seats)) {
    TakeASeat(random);
  } else if (workload_.last_room) {
    PassRoomOn();
  } else if (views_.size() >= workload_.most_held || (!views_.empty() && random.Chance(500))) {
    Release(random.Below(views_.size()));
  } else {
    AllocateStep(random);
  }
  return true;
}

// ---- Content ------------------------------------------------------------------------------------

std::string PoolClient::Expected(ValueId value, uint32_t value_bytes, uint32_t offset,
                                 size_t bytes) const {
  std::string whole(value_bytes, '\0');
  FillValue(value, kValuesOfBuffers, whole);
  return whole.substr(offset, bytes);
}

void PoolClient::Verify(const char* when, const View& view) {
  const std::string_view bytes = view.buffer.bytes();
  if (bytes.size() <= view.value_bytes - view.offset &&
      bytes == Expected(view.value, view.value_bytes, view.offset, bytes.size())) {
    return;
  }
  Fail(Verdict::kViolation,
       absl::StrCat(when, ": ", bytes.size(), " bytes are not those from ", view.offset,
                    " on of the value ", view.value, " of ", view.value_bytes, " bytes"));
}

void PoolClient::NewContent(View& view, std::span<char> bytes) {
  view.value = NextId();
  view.value_bytes = static_cast<uint32_t>(bytes.size());
  view.offset = 0;
  FillValue(view.value, kValuesOfBuffers, bytes);
}

PoolClient::View PoolClient::TakeOut(size_t index) {
  std::swap(views_[index], views_.back());
  View view = std::move(views_.back());
  views_.pop_back();
  return view;
}

bool PoolClient::HasSibling(const View& view) const {
  return std::count_if(views_.begin(), views_.end(),
                       [&view](const View& one) { return one.block == view.block; }) > 1;
}

// ---- Room ---------------------------------------------------------------------------------------

void PoolClient::AllocateStep(Random& random) {
  BufferPool::Ends ends;
  if (random.Chance(300)) {
    ends = {.headroom = random.Below(kMostRoom), .tailroom = random.Below(kMostRoom)};
  }
  const uint64_t bytes = workload_.NextSize(random);
  const Deadline deadline = NextDeadline(random);
  if (deadline.waits() && Allocate(bytes, Deadline::None(), ends, &views_)) return;
  if (Allocate(bytes, deadline, ends, &views_) && deadline.waits()) {
    Count(boards_.served_after_waiting);
  }
}

bool PoolClient::Allocate(uint64_t bytes, Deadline deadline, BufferPool::Ends ends,
                          std::vector<View>* into) {
  BeginUnrecorded(Function::kAllocate, kTheMessages);
  absl::StatusOr<Buffer> buffer = pool().Allocate(bytes, deadline, ends);
  EndUnrecorded();
  if (IsNoRoom(buffer.status()) && deadline.forever()) {
    FailStatus("a wait without a deadline", buffer.status());
  }
  if (IsNoRoom(buffer.status()) && deadline.waits() &&
      static_cast<int64_t>(MonotonicNs()) < deadline.monotonic_ns()) {
    FailStatus("a wait that ended before its deadline", buffer.status());
  }
  if (IsNoRoom(buffer.status())) {
    NoteRefused();
    return false;
  }
  if (!buffer.ok()) FailStatus("Allocate", buffer.status());
  if (buffer->size() != bytes || buffer->headroom() != ends.headroom ||
      buffer->tailroom() != ends.tailroom || buffer->IsShared()) {
    Fail(Verdict::kViolation,
         absl::StrCat("a new buffer of ", bytes, " bytes, with ", ends.headroom, " before and ",
                      ends.tailroom, " behind, has ", buffer->size(), ", ", buffer->headroom(),
                      " and ", buffer->tailroom(), buffer->IsShared() ? ", and is shared" : ""));
  }
  const absl::StatusOr<std::span<char>> data = buffer->Write(Deadline::None());
  if (!data.ok()) FailStatus("Write to a new buffer", data.status());
  View view{.buffer = *std::move(buffer), .block = ++blocks_};
  NewContent(view, *data);
  into->push_back(std::move(view));
  NoteHolds();
  return true;
}

void PoolClient::Release(size_t index) {
  Verify("a buffer about to be released", views_[index]);
  BeginUnrecorded(Function::kFree, kTheMessages);
  {
    View view = TakeOut(index);
    view.buffer.Release();
  }
  EndUnrecorded();
  NoteHolds();
}

// Each time that room is given up somebody must be woken, for nobody else comes who would.
void PoolClient::PassRoomOn() {
  const uint64_t bytes = pool().max_buffer_bytes() / 3 * 2;  // two of them have no room
  if (!Allocate(bytes, Deadline::None(), {}, &views_) &&
      Allocate(bytes, Deadline::Never(), {}, &views_)) {
    Count(boards_.served_after_waiting);
  }
  while (!views_.empty()) Release(views_.size() - 1);
}

// ---- Holds --------------------------------------------------------------------------------------

void PoolClient::Share(Random& random) {
  if (views_.empty() || views_.size() >= workload_.most_held + 1) return;
  const size_t index = random.Below(views_.size());
  const size_t size = views_[index].buffer.size();
  const size_t begin = random.Chance(500) ? 0 : random.Below(size + 1);
  const size_t length = random.Chance(500) ? size - begin : random.Below(size - begin + 1);
  BeginUnrecorded(Function::kShare, kTheMessages);
  absl::StatusOr<Buffer> part = views_[index].buffer.Slice(begin, length);
  EndUnrecorded();
  if (absl::IsResourceExhausted(part.status())) {
    Count(boards_.refused_shares);
    return;
  }
  if (!part.ok()) FailStatus("Slice", part.status());
  Count(boards_.shares);
  const View& of = views_[index];
  View view{.buffer = *std::move(part),
            .value = of.value,
            .value_bytes = of.value_bytes,
            .offset = of.offset + static_cast<uint32_t>(begin),
            .block = of.block,
            .shared = of.shared};
  views_.push_back(std::move(view));
  NoteHolds();
  Verify("a part of a buffer", views_.back());
  if (!views_[index].buffer.IsShared() || !views_.back().buffer.IsShared()) {
    Fail(Verdict::kViolation, "a buffer of which there is another hold is not shared, it says");
  }
}

void PoolClient::Write(Random& random) {
  if (views_.empty()) return;
  View& view = views_[random.Below(views_.size())];
  Verify("a buffer about to be written", view);
  const bool alone = !view.shared && !HasSibling(view);
  const bool has_sibling = HasSibling(view);
  const char* const before = view.buffer.bytes().data();
  BeginUnrecorded(Function::kPut, kTheMessages);
  absl::StatusOr<std::span<char>> bytes = view.buffer.Write(NextDeadline(random));
  EndUnrecorded();
  if (IsNoRoom(bytes.status()) && !alone) return NoteRefused();
  if (!bytes.ok()) FailStatus("Write", bytes.status());
  const bool moved = bytes->data() != before;
  if (bytes->size() != view.buffer.size() || (alone && moved) || (has_sibling && !moved)) {
    Fail(Verdict::kViolation,
         absl::StrCat("Write to a buffer of ", view.buffer.size(), " bytes that ",
                      alone ? "nobody else holds" : "others hold, too,", " gave ", bytes->size(),
                      moved ? " in a copy" : " in place"));
  }
  Verify("a buffer that may be written to", view);
  Count(moved ? boards_.copies : boards_.in_place);
  if (moved) {
    view.block = ++blocks_;
    view.shared = false;
  }
  NewContent(view, *bytes);
}

void PoolClient::Grow(Random& random) {
  if (views_.empty()) return;
  View& view = views_[random.Below(views_.size())];
  if (view.buffer.size() >= workload_.largest_bytes) {
    const size_t bytes = random.Below(view.buffer.size() + 1);
    if (random.Chance(500)) {
      view.buffer.DropFront(bytes);
      view.offset += static_cast<uint32_t>(bytes);
    } else {
      view.buffer.DropBack(bytes);
    }
    return Verify("a buffer that shrank", view);
  }
  Verify("a buffer about to grow", view);
  const std::string before(view.buffer.bytes());
  const std::string more(1 + random.Below(kMostRoom), 'x');
  const bool in_front = random.Chance(500);
  BeginUnrecorded(Function::kPut, kTheMessages);
  const absl::Status grown = in_front ? view.buffer.Prepend(more, NextDeadline(random))
                                      : view.buffer.Append(more, NextDeadline(random));
  EndUnrecorded();
  if (IsNoRoom(grown)) {
    NoteRefused();
    return Verify("a buffer that could not grow", view);
  }
  if (!grown.ok()) FailStatus(in_front ? "Prepend" : "Append", grown);
  if (view.buffer.bytes() != (in_front ? more + before : before + more)) {
    Fail(Verdict::kViolation, absl::StrCat("a buffer of ", before.size(), " bytes that grew by ",
                                           more.size(), in_front ? " in front" : " at its end",
                                           " has ", view.buffer.size(), ", or others"));
  }
  Count(boards_.grown);
  const char* const data = view.buffer.bytes().data();
  const absl::StatusOr<std::span<char>> bytes = view.buffer.Write(Deadline::None());
  if (!bytes.ok()) FailStatus("Write to what has grown", bytes.status());
  if (bytes->data() != data) {
    Fail(Verdict::kViolation, "a buffer that has just grown is shared with somebody");
  }
  view.block = ++blocks_;
  view.shared = false;
  NewContent(view, *bytes);
}

// ---- Passing on ---------------------------------------------------------------------------------

void PoolClient::Send(Random& random) {
  Header header{.message = NextId()};
  const uint32_t box = static_cast<uint32_t>(random.Below(kBoxes));
  Deadline deadline = NextDeadline(random);
  if (deadline.forever()) deadline = Deadline::None();
  Buffer none;
  const bool goes_without = views_.empty() || !workload_.carries || random.Chance(20);
  const size_t index = goes_without ? views_.size() : random.Below(views_.size());
  const bool has_block = index < views_.size();
  const bool shares = has_block && random.Chance(workload_.sends_shared);
  if (has_block) {
    const View& view = views_[index];
    Verify("a buffer about to be sent", view);
    header.value = view.value;
    header.value_bytes = view.value_bytes;
    header.offset = view.offset;
    // As long as the call is under way the hold may be the receiver's already.
    for (View& one : views_) one.shared |= one.block == view.block;
  }
  const std::string_view text{reinterpret_cast<const char*>(&header), sizeof header};
  Begin(Function::kSend, kTheMessages, header.message);
  const absl::StatusOr<Sequence> sent =
      shares ? pool().SendShared(channel(), views_[index].buffer, text, deadline, box)
             : pool().Send(channel(), has_block ? views_[index].buffer : none, text, deadline, box);
  if (sent.ok()) {
    End(Outcome::kOk, kNothing, *sent * 2);
    Count(boards_.sent);
    if (has_block && !shares) {
      if (views_[index].buffer.has_block()) {
        Fail(Verdict::kViolation, "who has sent a buffer holds it still");
      }
      TakeOut(index);
      NoteHolds();
    }
    return;
  }
  End(Outcome::kRefused);
  if (!IsNothing(sent.status()) && !absl::IsResourceExhausted(sent.status())) {
    FailStatus("Send", sent.status());
  }
  if (has_block) Verify("a buffer that could not be sent", views_[index]);
}

bool PoolClient::Receive(Deadline deadline) {
  Begin(Function::kReceive, kTheMessages);
  absl::StatusOr<ReceivedBuffer> received = pool().Receive(channel(), deadline);
  if (!received.ok()) {
    End(Outcome::kOk, kNothing);
    if (!IsNothing(received.status())) FailStatus("Receive", received.status());
    return false;
  }
  Header header;
  if (received->header.size() != sizeof header) {
    Fail(Verdict::kViolation,
         absl::StrCat("a message has a header of ", received->header.size(), " bytes"));
  }
  std::memcpy(&header, received->header.data(), sizeof header);
  const MessageInfo& info = received->info;
  // Refused: it is not of the history (SendAndDrop).
  End(header.message != kNothing ? Outcome::kOk : Outcome::kRefused, header.message,
      info.sequence * 2 + (info.redelivered ? 1 : 0));
  Count(boards_.received);
  if (received->buffer.has_block() != (header.value != kNothing)) {
    Fail(Verdict::kViolation, received->buffer.has_block()
                                  ? "a message carries a buffer that was sent without one"
                                  : "a message has come without its buffer");
  }
  if (!received->buffer.has_block()) return true;
  views_.push_back({.buffer = std::move(received->buffer),
                    .value = header.value,
                    .value_bytes = header.value_bytes,
                    .offset = header.offset,
                    .block = ++blocks_,
                    .shared = true});
  NoteHolds();
  Verify("a buffer that was received", views_.back());
  return true;
}

uint64_t PoolClient::ReceiveAll() {
  uint64_t received = 0;
  for (size_t held = views_.size(); Receive(Deadline::None()); ++received) {
    while (views_.size() > held) Release(views_.size() - 1);
  }
  return received;
}

// ---- Seats --------------------------------------------------------------------------------------

void PoolClient::TakeASeat(Random& random) {
  const uint32_t seat = static_cast<uint32_t>(random.Below(buffers::kSeats));
  BeginUnrecorded(Function::kPut, kTheMessages);
  const absl::Status status = pool().TakeSeat(seat);
  EndUnrecorded();
  if (absl::IsAlreadyExists(status) && (seats_ >> seat & 1) == 0) return;
  if (!status.ok()) FailStatus("TakeSeat", status);
  seats_ |= 1u << seat;
  Count(boards_.seats_taken);
  CheckSeats();
}

// Nobody takes what a living participant has.
void PoolClient::CheckSeats() {
  for (uint32_t seat = 0; seat < buffers::kSeats; ++seat) {
    if ((seats_ >> seat & 1) == 0 || pool().SeatedAt(seat) == pool().id()) continue;
    Fail(Verdict::kViolation, absl::StrCat("seat ", seat, " is another's, and its owner lives"));
  }
  const uint64_t mark = pool().mark(pool().id().slot, kOwnMark).load(std::memory_order_seq_cst);
  if (mark != process() + 1) {
    Fail(Verdict::kViolation, "a living participant's mark was changed");
  }
}

// ---- The whole ----------------------------------------------------------------------------------

void PoolClient::ReleaseAll() {
  // Of who leaves, often, what it holds ends with its pool: nobody asks these views any more.
  // Relaxed: beside a pause it lets go of them itself.
  const bool leaves = context().control().pause.load(std::memory_order_relaxed) == 0;
  if (leaves && attachments() % 2 == 0) {
    new std::vector<View>(std::move(views_));  // not destroyed: it would ask the pool
    views_.clear();
    return NoteHolds();
  }
  while (!views_.empty()) Release(views_.size() - 1);
}

// What others wait for without a deadline.
void PoolClient::LetOthersGo() {
  if (workload_.waits_forever != 0) ReleaseAll();
}

bool PoolClient::Fill() {
  const uint64_t segment_bytes = context().segment_options.size_bytes;
  bool full = false;
  for (const uint64_t usual : {std::max(kFillBytes[0], segment_bytes / kMostFirstFills),
                               kFillBytes[0], kFillBytes[1], kFillBytes[2]}) {
    const uint64_t bytes = std::min<uint64_t>(usual, pool().max_buffer_bytes());
    const uint64_t most = segment_bytes / bytes + 1;
    full = false;
    for (uint64_t i = 0; i < most && !full; ++i) {
      full = !Allocate(bytes, Deadline::None(), {}, &filling_);
    }
  }
  if (full) CheckFullPool();
  return full;
}

void PoolClient::RemoveFilling() {
  for (View& view : filling_) {
    Verify("a buffer of a full pool", view);
    view.buffer.Release();
  }
  filling_.clear();
  NoteHolds();
}

}  // namespace kill9
