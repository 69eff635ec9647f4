#include "apps/http_cache/cache/record.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "apps/http_cache/http/http_date.h"

namespace kill9::http {
namespace {

bool IsMadeAnew(std::string_view name) {
  return SameName(name, "content-length") || SameName(name, "age");
}

void AppendField(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

std::string Assemble(RecordHead fixed, std::string_view key, std::string_view head) {
  fixed.key_bytes = static_cast<uint32_t>(key.size());
  fixed.head_bytes = static_cast<uint32_t>(head.size());
  std::string bytes(reinterpret_cast<const char*>(&fixed), sizeof fixed);
  return bytes.append(key).append(head);
}

}  // namespace

Life Record::life() const {
  Life life;
  life.response_time_ms = fixed.response_time_ms;
  life.initial_age_ms = fixed.initial_age_ms;
  life.lifetime_ms = fixed.lifetime_ms;
  life.stale_while_revalidate_ms = fixed.stale_while_revalidate_ms;
  life.stale_if_error_ms = fixed.stale_if_error_ms;
  life.no_cache = fixed.no_cache != 0;
  life.must_revalidate = fixed.must_revalidate != 0;
  return life;
}

Validators Record::validators() const {
  Validators validators;
  validators.etag = etag();
  if (fixed.last_modified_s != std::numeric_limits<int64_t>::min())
    validators.last_modified_s = fixed.last_modified_s;
  validators.date_s = fixed.date_s;
  return validators;
}

std::optional<Record> ReadRecord(std::string_view bytes, std::string_view key) {
  Record record;
  if (bytes.size() < sizeof record.fixed) return std::nullopt;
  std::memcpy(&record.fixed, bytes.data(), sizeof record.fixed);
  const RecordHead& fixed = record.fixed;
  bytes.remove_prefix(sizeof fixed);
  if (fixed.magic != RecordHead().magic ||
      uint64_t{fixed.key_bytes} + fixed.head_bytes > bytes.size() ||
      uint64_t{fixed.etag_at} + fixed.etag_bytes > fixed.head_bytes) {
    return std::nullopt;
  }
  record.key = bytes.substr(0, fixed.key_bytes);
  record.head = bytes.substr(fixed.key_bytes, fixed.head_bytes);
  record.body = bytes.substr(fixed.key_bytes + fixed.head_bytes);
  if (record.key != key) return std::nullopt;
  if (fixed.kind == RecordKind::kResponse) {
    const bool fits = record.in_pieces() ? record.body.empty() && fixed.piece_bytes > 0
                                         : record.body.size() == fixed.body_bytes;
    if (!fits) return std::nullopt;
  }
  return record;
}

std::string MakeNote(RecordKind kind, std::string_view key, std::string_view head, uint64_t id,
                     int64_t now_ms) {
  RecordHead fixed;
  fixed.kind = kind;
  fixed.id = id;
  fixed.response_time_ms = now_ms;
  return Assemble(fixed, key, head);
}

std::string MakeResponseFront(std::string_view key, const ResponseHead& response,
                              std::string_view head, const Life& life, uint64_t body_bytes,
                              uint64_t id, uint32_t piece_bytes) {
  RecordHead fixed;
  fixed.no_cache = life.no_cache ? 1 : 0;
  fixed.must_revalidate = life.must_revalidate ? 1 : 0;
  fixed.status = response.status;
  fixed.piece_bytes = piece_bytes;
  fixed.body_bytes = body_bytes;
  fixed.id = id;
  fixed.response_time_ms = life.response_time_ms;
  fixed.initial_age_ms = life.initial_age_ms;
  fixed.lifetime_ms = life.lifetime_ms;
  fixed.stale_while_revalidate_ms = life.stale_while_revalidate_ms;
  fixed.stale_if_error_ms = life.stale_if_error_ms;
  if (const auto modified = FirstValue(response.fields, "last-modified")) {
    if (const auto seconds = ParseDate(*modified)) fixed.last_modified_s = *seconds;
  }
  const auto date = FirstValue(response.fields, "date");
  fixed.date_s = (date ? ParseDate(*date) : std::nullopt).value_or(life.response_time_ms / 1000);
  if (const auto etag = FirstValue(response.fields, "etag"); etag && !etag->empty()) {
    const size_t at = head.find(*etag);
    if (at != std::string_view::npos) {
      fixed.etag_at = static_cast<uint32_t>(at);
      fixed.etag_bytes = static_cast<uint32_t>(etag->size());
    }
  }
  return Assemble(fixed, key, head);
}

std::string StoredHead(const ResponseHead& response, int64_t now_ms) {
  std::string head = absl::StrCat("HTTP/1.1 ", response.status, " ");
  head.append(response.reason).append("\r\n");
  const HopByHop hop(response.fields);
  bool dated = false;
  for (const Field& field : response.fields) {
    if (hop.Has(field.name) || IsMadeAnew(field.name) ||
        SameName(field.name, "proxy-authentication-info")) {
      continue;
    }
    dated = dated || SameName(field.name, "date");
    AppendField(head, field.name, field.value);
  }
  if (!dated) AppendField(head, "Date", FormatDate(now_ms / 1000));
  return head;
}

std::string FreshenedHead(std::string_view stored, const Fields& not_modified) {
  const std::string whole = std::string(stored) + "\r\n";
  ResponseHead old;
  if (!ParseResponse(whole, true, &old)) return std::string(stored);
  const HopByHop hop(not_modified);
  const auto updates = [&](std::string_view name) {
    return !hop.Has(name) && !IsMadeAnew(name) && !KeepsItsValue(name);
  };
  std::string head(stored.substr(0, stored.find("\r\n") + 2));
  for (const Field& field : old.fields) {
    if (!updates(field.name) || !FirstValue(not_modified, field.name))
      AppendField(head, field.name, field.value);
  }
  for (const Field& field : not_modified) {
    if (updates(field.name)) AppendField(head, field.name, field.value);
  }
  return head;
}

}  // namespace kill9::http
