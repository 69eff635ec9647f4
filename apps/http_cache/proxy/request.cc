#include "apps/http_cache/proxy/request.h"

#include <array>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kill9::http {
namespace {

constexpr std::array<std::string_view, 5> kConditions = {"if-none-match", "if-modified-since",
                                                         "range", "if-range", "if-match"};

bool IsCondition(std::string_view name) {
  for (const std::string_view condition : kConditions) {
    if (SameName(name, condition)) return true;
  }
  return SameName(name, "if-unmodified-since");
}

std::string ResourceKey(bool tls, std::string_view authority, std::string_view path) {
  std::string key(tls ? "s" : "h");
  return key.append(authority).append(path);
}

// "http://host/path" into its parts; false if it is no such URI.
bool SplitUri(std::string_view uri, std::string_view* authority, std::string_view* path) {
  const size_t scheme = uri.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string name = LowerCase(uri.substr(0, scheme));
  if (name != "http" && name != "https") return false;
  uri.remove_prefix(scheme + 3);
  const size_t slash = uri.find_first_of("/?");
  *authority = uri.substr(0, slash);
  *path = slash == std::string_view::npos ? std::string_view("/") : uri.substr(slash);
  return !authority->empty() && authority->find('@') == std::string_view::npos;
}

// Without "." and ".." (RFC 3986, 5.2.4); a query stays as it is.
std::string WithoutDots(std::string_view path) {
  const size_t query = path.find('?');
  std::vector<std::string_view> segments;
  std::string_view rest = path.substr(0, query);
  bool slash_at_end = false;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // a slash
    const size_t end = rest.find('/');
    const std::string_view segment = rest.substr(0, end);
    slash_at_end = segment == "." || segment == "..";
    if (segment == ".." && !segments.empty()) segments.pop_back();
    if (!slash_at_end) segments.push_back(segment);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
  }
  std::string clean;
  for (const std::string_view segment : segments) clean.append("/").append(segment);
  if (slash_at_end || clean.empty()) clean.append("/");
  return query == std::string_view::npos ? clean : clean.append(path.substr(query));
}

void AppendFraming(const RequestHead& head, std::string& out) {
  if (head.framing.kind == Framing::Kind::kChunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  } else if (head.framing.kind == Framing::Kind::kLength) {
    absl::StrAppend(&out, "Content-Length: ", head.framing.length, "\r\n");
  }
}

}  // namespace

int ReadRequest(Request* request, const std::string& default_authority) {
  const int refused = ParseRequest(request->bytes, &request->head);
  if (refused != 0) return refused;
  RequestHead& head = request->head;
  std::string_view authority = FirstValue(head.fields, "host").value_or(default_authority);
  if (head.target.front() == '/') {
    request->path = head.target;
  } else if (head.method == "OPTIONS" && head.target == "*") {
    request->path = head.target;
  } else if (!SplitUri(head.target, &authority, &request->path)) {
    return 400;
  }
  if (request->path.find('#') != std::string_view::npos) return 400;
  if (authority.empty()) authority = default_authority;
  request->authority = LowerCase(authority);
  request->facts = FactsOf(head.fields);
  request->resource = ResourceKey(request->tls, request->authority, request->path);
  return 0;
}

std::string ResourceOf(const Request& request, std::string_view reference) {
  reference = reference.substr(0, reference.find('#'));
  std::string_view authority;
  std::string_view path;
  if (SplitUri(reference, &authority, &path)) {
    if (LowerCase(authority) != request.authority) return "";
    return ResourceKey(request.tls, request.authority, WithoutDots(path));
  }
  if (reference.empty() || reference.find("://") < reference.find_first_of("/?")) return "";
  if (reference.starts_with("//")) return "";
  std::string whole;
  if (reference.front() == '/') {
    whole = reference;
  } else {
    const std::string_view base = request.path.substr(0, request.path.find('?'));
    whole = reference.front() == '?' ? std::string(base)
                                     : std::string(base.substr(0, base.rfind('/') + 1));
    whole.append(reference);
  }
  return ResourceKey(request.tls, request.authority, WithoutDots(whole));
}

std::string OriginHead(const Request& request, const Record* stored, bool whole) {
  const RequestHead& head = request.head;
  std::string out(head.method);
  out.append(" ").append(request.path).append(" HTTP/1.1\r\nHost: ").append(request.authority);
  out.append("\r\n");
  const HopByHop hop(head.fields);
  std::string forwarded;
  std::string via;
  for (const Field& field : head.fields) {
    if (hop.Has(field.name) || SameName(field.name, "host") || SameName(field.name, "expect") ||
        SameName(field.name, "content-length") || SameName(field.name, "x-forwarded-proto")) {
      continue;
    }
    if ((whole || stored != nullptr) && IsCondition(field.name)) continue;
    if (SameName(field.name, "x-forwarded-for")) {
      forwarded.append(field.value).append(", ");
    } else if (SameName(field.name, "via")) {
      via.append(field.value).append(", ");
    } else {
      out.append(field.name).append(": ").append(field.value).append("\r\n");
    }
  }
  if (stored != nullptr) {
    if (!stored->etag().empty())
      out.append("If-None-Match: ").append(stored->etag()).append("\r\n");
    const std::string whole_head = std::string(stored->head) + "\r\n";
    ResponseHead parsed;
    if (ParseResponse(whole_head, true, &parsed)) {
      if (const auto modified = FirstValue(parsed.fields, "last-modified"))
        out.append("If-Modified-Since: ").append(*modified).append("\r\n");
    }
  }
  AppendFraming(head, out);
  out.append("X-Forwarded-For: ").append(forwarded).append(request.peer).append("\r\n");
  out.append("X-Forwarded-Proto: ").append(request.tls ? "https" : "http").append("\r\n");
  absl::StrAppend(&out, "Via: ", via, "1.", head.minor_version, " kill9\r\n\r\n");
  return out;
}

}  // namespace kill9::http
