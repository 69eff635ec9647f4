#include "apps/http_cache/proxy/exchange.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace kill9::http {
namespace {

constexpr size_t kMostQueuedBytes = 1 << 20;

bool IsSafe(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

bool IsErrorOfOrigin(int status) {
  return status == 500 || status == 502 || status == 503 || status == 504;
}

}  // namespace

Exchange::Exchange(const Services* services, SharedRequest request, AnswerSink* sink, Place place,
                   Mode mode)
    : services_(services),
      request_(std::move(request)),
      sink_(sink),
      place_(std::move(place)),
      mode_(mode) {}

void Exchange::Start(const Record* stored) {
  Fetch::Request asked;
  asked.head = OriginHead(*request_, stored, mode_.whole);
  asked.to_head = request_->Is("HEAD");
  asked.may_repeat =
      IsSafe(request_->head.method) && request_->head.framing.kind == Framing::Kind::kNone;
  request_time_ms_ = Loop::WallMs();
  fetch_ = services_->loop->Adopt(std::make_unique<Fetch>(services_->origin, std::move(asked), this,
                                                          services_->options->origin_patience_ms));
  fetch_->Start();
}

std::string Exchange::Status(std::string_view detail) const {
  std::string text = absl::StrCat("fwd=", std::string(mode_.why));
  if (status_ != 0) absl::StrAppend(&text, "; fwd-status=", status_);
  return text.append(detail);
}

void Exchange::Leave() {
  sink_ = nullptr;
  if (over_) return;
  // Before the head has come nobody knows whether others can use it.
  if (body_ || mode_.leads) {
    fetch_->Pause(false);
  } else {
    fetch_->Drop();
    Over();
  }
}

void Exchange::ClientDrained() {
  if (!over_) fetch_->Pause(false);
}

void Exchange::OnRequestSent() {
  if (sink_ != nullptr) sink_->RequestSent();
}

void Exchange::OnInterim(const ResponseHead& head) {
  if (sink_ != nullptr && head.status != 100) sink_->Interim(head);
}

void Exchange::Land(Landing landing) {
  if (!std::exchange(mode_.leads, false)) return;
  services_->flights->Land(place_.key, landing);
}

void Exchange::Over() {
  over_ = true;
  Land(Landing::kFailed);
  services_->loop->Bury(this);
}

bool Exchange::StaleOnError(std::string_view detail) {
  std::optional<Found> found = services_->cache->FindAgain(place_);
  if (!found) return false;
  Life life = found->record.life();
  if (life.stale_if_error_ms == 0)
    life.stale_if_error_ms = services_->options->stale_if_error_s * 1000;
  if (!MayUseOnError(request_->facts, life, Loop::WallMs())) return false;
  services_->counters->Add(Counter::kStaleServed);
  if (sink_ != nullptr) std::exchange(sink_, nullptr)->Stored(*std::move(found), Status(detail));
  return true;
}

// Whether what is stored answers the client, so that the rest of this response is of no interest.
bool Exchange::AnsweredByStored(const ResponseHead& head) {
  if (mode_.validate && head.status == 304) {
    std::optional<Found> fresh =
        services_->cache->Freshen(place_, request_->facts, head, request_time_ms_, Loop::WallMs());
    if (!fresh) {  // it has gone meanwhile: ask for all of it
      mode_.validate = false;
      mode_.whole = true;
      fetch_->Drop();
      Start(nullptr);
      return true;
    }
    services_->counters->Add(Counter::kRevalidated);
    Land(Landing::kLookAgain);
    if (sink_ != nullptr) std::exchange(sink_, nullptr)->Stored(*std::move(fresh), Status(""));
    Over();
    return true;
  }
  if (!IsErrorOfOrigin(head.status) || !StaleOnError("; detail=origin-error")) return false;
  fetch_->Drop();
  Over();
  return true;
}

void Exchange::InvalidateBy(const ResponseHead& head) {
  if (IsSafe(request_->head.method) || head.status < 200 || head.status >= 400) return;
  services_->counters->Add(Counter::kInvalidated);
  const int64_t now_ms = Loop::WallMs();
  services_->cache->Invalidate(request_->resource, now_ms);
  for (const std::string_view name : {"location", "content-location"}) {
    const auto reference = FirstValue(head.fields, name);
    const std::string other = reference ? ResourceOf(*request_, *reference) : "";
    if (!other.empty() && other != request_->resource) services_->cache->Invalidate(other, now_ms);
  }
}

void Exchange::DecideKeeping(const ResponseHead& head) {
  const int64_t now_ms = Loop::WallMs();
  const Keep keep = MayKeep(request_->facts, head, request_time_ms_, now_ms, &life_);
  const bool fits = head.framing.kind != Framing::Kind::kLength ||
                    head.framing.length <= services_->cache->max_object_bytes();
  if (keep == Keep::kYes && fits) {
    stored_head_ = StoredHead(head, now_ms);
    body_.emplace(services_->cache, place_.resource, life_);
    if (head.framing.kind == Framing::Kind::kLength) body_bytes_ = head.framing.length;
    return;
  }
  // A failure says nothing of the next response.
  if (head.status < 500 && mode_.leads) services_->cache->NotePass(place_, now_ms);
  Land(head.status < 500 ? Landing::kGoAlone : Landing::kFailed);
}

// The response to a POST that says to be what a GET would get (RFC 9110, 9.3.3).
void Exchange::KeepOfPost(const ResponseHead& head) {
  const auto reference = FirstValue(head.fields, "content-location");
  if (!request_->Is("POST") || head.status != 200 || !reference) return;
  if (ResourceOf(*request_, *reference) != request_->resource) return;
  const CacheControl control = ParseCacheControl(head.fields);
  if (!control.max_age_s && !control.s_maxage_s && !FirstValue(head.fields, "expires")) return;
  place_ = services_->cache->Find(request_->resource, request_->head.fields, Loop::WallMs()).place;
  DecideKeeping(head);
}

void Exchange::OnHead(const ResponseHead& head) {
  has_head_ = true;
  status_ = head.status;
  if (AnsweredByStored(head)) return;
  InvalidateBy(head);
  if (mode_.keep) {
    DecideKeeping(head);
  } else {
    KeepOfPost(head);
  }
  if (sink_ != nullptr) {
    sink_->Begin(head, Status(body_ ? "; stored" : ""));
  } else if (!body_) {
    fetch_->Drop();
    Over();
  }
}

void Exchange::StopKeeping(Landing landing) {
  body_.reset();
  Land(landing);
}

void Exchange::OnBody(std::string_view bytes) {
  if (body_ && !body_->Append(bytes)) {
    services_->counters->Add(Counter::kNotStored);
    services_->cache->NotePass(place_, Loop::WallMs());
    StopKeeping(Landing::kGoAlone);
    if (sink_ == nullptr) {
      fetch_->Drop();
      return Over();
    }
  }
  // Before the client can know that it has all: its next request finds it.
  if (body_ && body_bytes_ && body_->total() == *body_bytes_) Store();
  if (sink_ == nullptr) return;
  sink_->Body(bytes);
  // Those who wait for a body of one piece do not wait for the client that asked first.
  if (sink_ != nullptr && sink_->Queued() > kMostQueuedBytes) fetch_->Pause(true);
}

void Exchange::Store() {
  const std::string whole = stored_head_ + "\r\n";
  ResponseHead head;
  const bool stored =
      ParseResponse(whole, true, &head) &&
      services_->cache->Put(place_, request_->head.fields, head, life_, *body_, Loop::WallMs());
  services_->counters->Add(stored ? Counter::kStored : Counter::kNotStored);
  StopKeeping(Landing::kLookAgain);
}

void Exchange::OnEnd(End end) {
  if (over_) return;
  if (end == End::kWhole) {
    if (body_) Store();
    if (sink_ != nullptr) std::exchange(sink_, nullptr)->End();
  } else if (has_head_) {
    StopKeeping(Landing::kFailed);
    if (sink_ != nullptr) std::exchange(sink_, nullptr)->Break();
  } else if (!StaleOnError(end == End::kTooLate ? "; detail=origin-silent"
                                                : "; detail=origin-gone")) {
    if (sink_ != nullptr)
      std::exchange(sink_, nullptr)->Error(end == End::kTooLate ? 504 : 502, Status(""));
  }
  Over();
}

}  // namespace kill9::http
