#include "harness/explore/scenes/pools/pool_scene.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kill9::explore {
namespace {

constexpr std::string_view kPoolNames[] = {"alloc", "free",    "share", "drop",    "write",
                                           "grow",  "send",    "post",  "receive", "void",
                                           "seat",  "recover", "join",  "come"};
constexpr std::string_view kPoolBeginnings[] = {"", "@empty", "@full"};
constexpr std::string_view kLargerPoolScenes[] = {
    "send,receive+send,receive", "share,send+receive,drop",   "post,drop+receive,free",
    "send+receive+receive",      "send,drop+receive,recover", "write,post+receive,write",
    "alloc,send+receive,free",   "post,void+receive,drop",    "free,alloc+drop,alloc@full",
    "alloc,send+receive@empty"};
constexpr std::string_view kWiderPoolScenes[] = {
    "drop+drop+drop", "send+receive+recover", "post+void+receive", "share+drop+write",
    "grow+grow+post", "seat+seat+recover",    "send+join+receive"};
constexpr size_t kBufferBytes = 24;
constexpr size_t kDrawnBufferBytes[] = {kBufferBytes, 8, 40, 64, 100, 197, 512, 1500};
constexpr uint64_t kFillersMost = 10'000;
constexpr uint32_t kTheSeat = 0;

bool IsRefused(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status);
}

const char* NameOf(PoolCall call) { return kPoolNames[static_cast<size_t>(call)].data(); }

}  // namespace

const ScenarioWords& PoolWords() {
  static constexpr ScenarioWords kWords = {kPoolNames, kPoolBeginnings};
  return kWords;
}

std::span<const std::string_view> LargerPoolScenes() { return kLargerPoolScenes; }

std::span<const std::string_view> WiderPoolScenes() { return kWiderPoolScenes; }

PoolScene::PoolScene(const Design& design, const Scenario& scenario)
    : ObjectScene(design, scenario), design_(design) {}

// The pools and their segment lie in the arena, which forgets them.
PoolScene::~PoolScene() = default;

bool PoolScene::MayComeBefore(size_t call) const {
  if (call >= std::size(kPoolNames)) return false;
  const auto of_pool = static_cast<PoolCall>(call);
  return of_pool != PoolCall::kSeat && of_pool != PoolCall::kVoid;
}

size_t PoolScene::BytesOf(ValueId id) const {
  return kDrawnBufferBytes[PickOf(Mix(static_cast<uint64_t>(Aspect::kBytes), id),
                                  std::size(kDrawnBufferBytes))];
}

// ---- The beginning ------------------------------------------------------------------------------

// By a copy, which the explorer sees.
void PoolScene::Fill(std::span<char> bytes, ValueId id) {
  std::string text(bytes.size(), '\0');
  FillValue(id, id, text);
  std::memcpy(bytes.data(), text.data(), text.size());
}

void PoolScene::CheckBytes(const Buffer& buffer, const Content& content) {
  std::string shown(buffer.size(), '\0');
  std::memcpy(shown.data(), buffer.bytes().data(), shown.size());
  bool is_right = true;
  if (content.tail != kNothing) {
    const size_t bytes = shown.size() - sizeof content.tail;
    is_right = shown.substr(bytes) ==
               std::string(reinterpret_cast<const char*>(&content.tail), sizeof content.tail);
    shown.resize(bytes);
  }
  const ValueCheck check = CheckValue(content.id, shown);
  if (is_right && check.defect == ValueDefect::kNone && check.id == content.id) return;
  Stage::Get().Fail(Verdict::kViolation, "a buffer has not the bytes that were written to it");
}

bool PoolScene::Allocate(int participant, ValueId id) {
  absl::StatusOr<Buffer> buffer =
      pool(participant).Allocate(BytesOf(id), Deadline::None(), {.tailroom = sizeof(ValueId)});
  if (IsRefused(buffer.status())) return false;
  if (!buffer.ok()) FailStatus(buffer.status());
  const absl::StatusOr<std::span<char>> bytes = buffer->Write(Deadline::None());
  if (!bytes.ok()) FailStatus(bytes.status());
  Fill(*bytes, id);
  holds(participant).Push(*std::move(buffer), {.id = id});
  return true;
}

// With buffers of all sizes: in the end there is no room for the smallest.
void PoolScene::FillUp() {
  std::vector<Buffer>& fillers = *new std::vector<Buffer>;  // held for as long as the pool
  for (size_t bytes = pool(kAuditor).max_buffer_bytes(); bytes > 0; bytes /= 2) {
    while (fillers.size() < kFillersMost) {
      absl::StatusOr<Buffer> filler = pool(kAuditor).Allocate(bytes, Deadline::None());
      if (!filler.ok()) break;
      fillers.push_back(*std::move(filler));
    }
  }
}

void PoolScene::Prepare(int participant, int what) {
  const auto i = static_cast<size_t>(participant);
  if (what == kAttach) {
    absl::StatusOr<std::unique_ptr<BufferPool>> attached = BufferPool::Attach(*segment_);
    if (!attached.ok()) CannotMake(attached.status());
    pools_[i] = attached->release();
    holds_[i] = new Holds;
    texts_.ids[i] = pool(participant).id();
    const uint32_t slot = texts_.ids[kAuditor].slot;
    boxes_[i] = NewNoteBox(pool(participant), slot, texts_, participant).release();
    return;
  }
  if (what == kMakeOwn) {
    if (!Allocate(participant, MakeValueId(static_cast<uint32_t>(participant) + 1, 1u << 16))) {
      CannotMake(absl::InternalError("no room for a buffer"));
    }
    return;
  }
  if (const absl::Status status = ReceiveOne(participant); !status.ok()) CannotMake(status);
}

void PoolScene::MakeObject() {
  SegmentOptions options;
  options.max_participants =
      Places(static_cast<size_t>(PoolCall::kJoin), static_cast<size_t>(PoolCall::kCome)) +
      static_cast<uint32_t>(Pick(Aspect::kPlaces, 3));
  options.hash_seed = 1;
  options.expected_entries = 24;
  const absl::StatusOr<std::shared_ptr<Segment>> segment = SmallestSegment(design_, options);
  if (!segment.ok()) CannotMake(segment.status());
  segment_ = new std::shared_ptr<Segment>(*segment);
  Stage& stage = Stage::Get();
  stage.As(kAuditor, kAttach);
  for (int i = 0; i < participants(); ++i) stage.As(i, kAttach);
  const auto beginning = static_cast<PoolBeginning>(scenario().beginning);
  if (beginning == PoolBeginning::kEmpty) return;
  // The common one, then one of each, then one that waits.
  Allocate(kAuditor, MakeValueId(kMaker, 1));
  for (int i = 0; i < participants(); ++i) {
    if (absl::Status sent = SendCommon(kAuditor); !sent.ok()) CannotMake(sent);
    stage.As(i, kReceiveOne);
    stage.As(i, kMakeOwn);
  }
  Holds& maker = holds(kAuditor);
  maker.buffers[--maker.count].Release();
  Allocate(kAuditor, MakeValueId(kMaker, 2));
  if (absl::Status sent = SendNewest(kAuditor); !sent.ok()) CannotMake(sent);
  if (beginning == PoolBeginning::kFull) FillUp();
  maker.sent_count = 1;  // the others were received
  maker.sent[0] = MakeValueId(kMaker, 2);
  for (int i = 0; i < participants(); ++i) holds(i).received_count = 0;
}

absl::StatusOr<std::unique_ptr<SharedObject>> PoolScene::AttachOneMore(int) {
  return design_.AttachObject(*segment_);
}

// What it allocates it lets go of.
void PoolScene::DoAsGuest(int participant, size_t number) {
  Operation asked = {};
  asked.function = Function::kRecover;
  Operation& operation = Begin(participant, "visit", /*must_not_wait=*/false, asked);
  const size_t before = holds(participant).count;
  const bool has_one = Allocate(participant, IdOfWrite(participant, number));
  if (has_one) holds(participant).buffers[before].Release();
  holds(participant).count = before;
  End(operation, has_one ? Outcome::kOk : Outcome::kRefused, kNothing, 0);
}

// ---- Operations ---------------------------------------------------------------------------------

absl::Status PoolScene::SendNewest(int participant) {
  Holds& of = holds(participant);
  const Content content = of.shown[of.count - 1];
  const absl::Status sent =
      pool(participant)
          .Send(box(participant), of.buffers[of.count - 1], HeaderOf(content), Deadline::None())
          .status();
  if (!sent.ok()) return sent;
  --of.count;
  of.sent[of.sent_count++] = content.id;
  return sent;
}

absl::Status PoolScene::SendCommon(int participant) {
  Holds& of = holds(participant);
  const Content content = of.shown[kCommon];
  const absl::Status sent =
      pool(participant)
          .SendShared(box(participant), of.buffers[kCommon], HeaderOf(content), Deadline::None())
          .status();
  if (sent.ok()) of.sent[of.sent_count++] = content.id;
  return sent;
}

absl::Status PoolScene::ReceiveOne(int participant) {
  absl::StatusOr<ReceivedBuffer> received =
      pool(participant).Receive(box(participant), Deadline::None());
  if (!received.ok()) return received.status();
  Content content;
  if (received->header.size() != sizeof content || !received->buffer.has_block()) {
    return absl::DataLossError("a message that nobody has sent so");
  }
  std::memcpy(&content, received->header.data(), sizeof content);
  CheckBytes(received->buffer, content);
  Holds& of = holds(participant);
  of.received[of.received_count++] = content.id;
  of.Push(std::move(received->buffer), content);
  return absl::OkStatus();
}

// Once: by its name.
absl::Status PoolScene::Grow(Holds& of, ValueId id) {
  const absl::StatusOr<std::span<char>> tail =
      of.buffers[kCommon].GrowBack(sizeof id, Deadline::None());
  if (!tail.ok()) return tail.status();
  const std::string text(reinterpret_cast<const char*>(&id), sizeof id);
  std::memcpy(tail->data(), text.data(), tail->size());  // a call: the explorer sees it
  of.shown[kCommon].tail = id;
  return absl::OkStatus();
}

// What is not there is refused, as what has no room is.
absl::Status PoolScene::Change(int participant, ValueId id, PoolCall call) {
  const absl::Status none = absl::ResourceExhaustedError("");
  Holds& of = holds(participant);
  const size_t newest = of.count - 1;
  const bool has_own = of.count > 0 && of.buffers[newest].has_block();
  const bool has_common = of.count > 0 && of.buffers[kCommon].has_block();
  switch (call) {
    case PoolCall::kAlloc:
      return Allocate(participant, id) ? absl::OkStatus() : none;
    case PoolCall::kFree:
      if (!has_own) return none;
      CheckBytes(of.buffers[newest], of.shown[newest]);
      of.buffers[newest].Release();
      --of.count;
      return absl::OkStatus();
    case PoolCall::kShare: {
      if (!has_own) return none;
      absl::StatusOr<Buffer> other = of.buffers[newest].Share();
      if (!other.ok()) return other.status();
      of.Push(*std::move(other), of.shown[newest]);
      return absl::OkStatus();
    }
    case PoolCall::kDrop:
      if (!has_common) return none;
      of.buffers[kCommon].Release();
      return absl::OkStatus();
    case PoolCall::kWrite: {
      if (!has_common) return none;
      CheckBytes(of.buffers[kCommon], of.shown[kCommon]);
      const absl::StatusOr<std::span<char>> bytes = of.buffers[kCommon].Write(Deadline::None());
      if (!bytes.ok()) return bytes.status();
      of.shown[kCommon] = {.id = id};
      Fill(*bytes, id);
      return absl::OkStatus();
    }
    case PoolCall::kGrow:
      return has_common && of.shown[kCommon].tail == kNothing ? Grow(of, id) : none;
    case PoolCall::kSend:
      return has_own ? SendNewest(participant) : none;
    case PoolCall::kPost:
      return has_common ? SendCommon(participant) : none;
    case PoolCall::kReceive:
      return ReceiveOne(participant);
    case PoolCall::kVoid:
      return pool(participant).DropSent(0).status();
    case PoolCall::kSeat: {
      const absl::Status taken = pool(participant).TakeSeat(kTheSeat);
      of.is_seated = of.is_seated || taken.ok();
      return absl::IsAlreadyExists(taken) ? none : taken;
    }
    default:
      return absl::OkStatus();
  }
}

void PoolScene::Do(int participant, size_t number, size_t which) {
  const auto call = static_cast<PoolCall>(which);
  if (call == PoolCall::kRecover) return Recover(participant);
  if (call == PoolCall::kJoin) return Join(participant);
  if (call == PoolCall::kCome) return Come(participant, number);
  // What needs no room, and ends no last hold, waits for nobody.
  const bool is_lock_free = call == PoolCall::kShare || call == PoolCall::kSend ||
                            call == PoolCall::kPost || call == PoolCall::kReceive;
  Operation asked = {};
  asked.function = Function::kRecover;  // the account is kept here
  Operation& operation = Begin(participant, NameOf(call), is_lock_free, asked);
  const absl::Status status = Change(participant, IdOfWrite(participant, number), call);
  if (!status.ok() && !IsRefused(status)) FailStatus(status);
  End(operation, status.ok() ? Outcome::kOk : Outcome::kRefused, kNothing, 0);
}

// ---- What is left -------------------------------------------------------------------------------

// Of the living; the dead hold nothing any more.
Finding PoolScene::CheckHolds() {
  const absl::StatusOr<BufferPoolAccount> account = pool(kAuditor).Account();
  if (!account.ok()) {
    return {Verdict::kAuditFailed,
            absl::StrCat("Account: ", std::string(account.status().message()))};
  }
  const auto held_by = [&account](uint32_t slot) {
    const auto found =
        std::find_if(account->of_participants.begin(), account->of_participants.end(),
                     [slot](const HoldsOf& one) { return one.holder == slot; });
    return found == account->of_participants.end() ? uint64_t{0} : found->holds;
  };
  int seated = 0;
  for (int i = 0; i < participants(); ++i) {
    const bool is_dead = Stage::Get().died(i);
    uint64_t expected = 0;
    for (size_t n = 0; !is_dead && n < holds(i).count; ++n) {
      const Buffer& buffer = holds(i).buffers[n];
      if (!buffer.has_block()) continue;
      ++expected;
      CheckBytes(buffer, holds(i).shown[n]);
    }
    const uint64_t held = held_by(texts_.ids[static_cast<size_t>(i)].slot);
    if (held != expected) {
      return {Verdict::kViolation, absl::StrCat("participant ", i, is_dead ? ", dead," : "",
                                                " has ", held, " holds, not ", expected)};
    }
    seated += !is_dead && holds(i).is_seated ? 1 : 0;
  }
  if (seated > 1) return {Verdict::kViolation, "two participants that live have one seat"};
  return {};
}

// What was sent, and who got it. Of what the dead had sent or received nothing is known, nor of
// what somebody has dropped.
Finding PoolScene::CheckMessages() {
  const absl::StatusOr<BufferPoolAccount> account = pool(kAuditor).Account();
  uint64_t waiting = 0, received = 0;
  for (const HoldsOf& box : account->of_messages) waiting += box.holds;
  while (ReceiveOne(kAuditor).ok()) ++received;
  if (received != waiting) {
    return {Verdict::kViolation,
            absl::StrCat(waiting, " holds were messages', and ", received, " messages have come")};
  }
  if (Has(static_cast<size_t>(PoolCall::kVoid))) return {};
  std::vector<ValueId> sent, got;
  for (int i = 0; i <= kAuditor; ++i) {
    if (i >= participants() && i != kAuditor) continue;
    if (i != kAuditor && Stage::Get().died(i)) return {};
    const Holds& of = holds(i);
    sent.insert(sent.end(), of.sent.begin(), of.sent.begin() + of.sent_count);
    got.insert(got.end(), of.received.begin(), of.received.begin() + of.received_count);
  }
  std::sort(sent.begin(), sent.end());
  std::sort(got.begin(), got.end());
  if (sent != got) return {Verdict::kViolation, "not each buffer that was sent has come once"};
  return {};
}

Finding PoolScene::Look() {
  if (Finding found = CheckHolds(); found.verdict != Verdict::kPass) return found;
  return CheckMessages();
}

}  // namespace kill9::explore
