// What was found, for a terminal.
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/inspect/heap_map.h"
#include "harness/inspect/inspect.h"

namespace kill9::inspect {
namespace {

constexpr size_t kTextCells = 1024, kLineCells = 64;

// 1234567 as 1,234,567.
std::string Number(const Json& value) {
  std::string digits = value.is_number() ? absl::StrCat(value.get<uint64_t>()) : "?";
  for (size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(digits.begin() + static_cast<std::ptrdiff_t>(at), ',');
  }
  return digits;
}

std::string Counted(const Json& count, std::string_view what) {
  return absl::StrCat(Number(count), " ", std::string(what), count == 1 ? "" : "s");
}

std::string HoldsOf(const Json& row) {
  std::vector<std::string> parts;
  if (const auto owns = row.find("owns"); owns != row.end()) {
    parts.push_back(absl::StrCat("owns ", Counted((*owns)["blocks"], "block"), ", ",
                                 Counted((*owns)["bytes"], "byte")));
    if ((*owns)["shared_blocks"] != 0) {
      parts.push_back(absl::StrCat(Number((*owns)["shared_blocks"]), " of them shared"));
    }
    if ((*owns)["reserved_blocks"] != 0) {
      parts.push_back(absl::StrCat("reserved ", Number((*owns)["reserved_blocks"])));
    }
  }
  if (const auto held = row.find("buffers_held"); held != row.end() && *held != 0) {
    parts.push_back(absl::StrCat("has ", Counted(*held, "hold"), " of buffers"));
  }
  const Json& holds = row["holds"];
  if (holds.is_null()) {
    parts.push_back("not told");
  } else {
    if (holds["blocks"] != 0) {
      parts.push_back(absl::StrCat("holds ", Counted(holds["blocks"], "block"), ", ",
                                   Counted(holds["bytes"], "byte")));
    }
    if (holds["taken_messages"] != 0) {
      parts.push_back(absl::StrCat("has taken ", Counted(holds["taken_messages"], "message")));
    }
    if (holds["unfinished_operations"] != 0) {
      parts.push_back(
          absl::StrCat("unfinished operations: ", Number(holds["unfinished_operations"])));
    }
  }
  if (parts.empty()) return "nothing";
  std::string text;
  for (const std::string& part : parts) absl::StrAppend(&text, text.empty() ? "" : ", ", part);
  return text;
}

std::string TextOr(const Json& value, std::string_view otherwise) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number() ? absl::StrCat(value.get<int64_t>()) : std::string(otherwise);
}

std::string ParticipantsOf(const Json& run) {
  const Json& rows = run["participants"];
  std::string text = absl::StrCat("participants: ", rows.size(), " of ",
                                  run["max_participants"].get<uint64_t>(), "\n");
  if (rows.empty()) return text;
  constexpr char kLine[] = "  %-5s %-10s %-8s %-8s %-20s %-16s %s\n";
  absl::StrAppendFormat(&text, kLine, "slot", "generation", "pid", "state", "started", "name",
                        "holds");
  for (const Json& row : rows) {
    const std::string_view unknown = row["state"] == "dead" ? "-" : "?";
    absl::StrAppendFormat(&text, kLine, absl::StrCat(row["slot"].get<uint64_t>()),
                          absl::StrCat(row["generation"].get<uint64_t>()),
                          TextOr(row["pid"], unknown), row["state"].get<std::string>(),
                          TextOr(row["started_at"], unknown), TextOr(row["name"], unknown),
                          HoldsOf(row));
  }
  return text;
}

// Each number of an object, by its name.
std::string Numbers(std::string_view title, const Json& object) {
  std::string text = absl::StrCat(std::string(title), ":");
  for (const auto& [name, value] : object.items()) {
    if (value.is_boolean()) {
      absl::StrAppend(&text, " ", name, " ", value.get<bool>() ? "yes" : "no");
    } else if (value.is_number()) {
      absl::StrAppend(&text, " ", name, " ", Number(value));
    }
  }
  return text + "\n";
}

std::string AccountOf(const Json& account) {
  std::string text;
  for (const auto& [name, value] : account.items()) {
    absl::StrAppend(&text, text.empty() ? "blocks: " : ", ", name, " ", Number(value["blocks"]),
                    " (", Number(value["bytes"]), " bytes)");
  }
  return text + "\n";
}

// Of a pool: buffers that are nobody's but a message's.
std::string OnTheirWay(const Json& boxes) {
  std::string text;
  for (const Json& box : boxes) {
    absl::StrAppend(&text, text.empty() ? "on their way in messages: " : ", ",
                    Counted(box["holds"], "hold"), " to box ", Number(box["box"]));
  }
  return text.empty() ? text : text + "\n";
}

std::string HeapDrawing(const Json& heap) {
  const std::optional<HeapMap> map = HeapMap::FromJson(heap.value("map", Json()));
  if (!map.has_value()) return "";
  const size_t per_cell = std::max<size_t>(1, (map->cells().size() + kTextCells - 1) / kTextCells);
  const HeapMap coarse = map->Coarsened(per_cell);
  const std::string letters = coarse.Letters();
  std::string text = absl::StrCat(
      "map, ", Number(coarse.cell_bytes()),
      " bytes a letter: a one owner, s shared, r reserved, d of the dead, . no block;\n"
      "     capitals where at least half is in blocks\n");
  for (size_t at = 0; at < letters.size(); at += kLineCells) {
    absl::StrAppendFormat(&text, "  %12s %s\n", Number(coarse.begin() + at * coarse.cell_bytes()),
                          letters.substr(at, kLineCells));
  }
  return text;
}

}  // namespace

std::string AsText(const Json& run) {
  std::string text = absl::StrCat(
      run["segment"].get<std::string>(), ": ", run["variant"].get<std::string>(), ", a ",
      run["object"].get<std::string>(), " of ", Number(run["size_bytes"]), " bytes\n");
  if (!run["of_one_moment"].get<bool>()) {
    absl::StrAppend(&text,
                    "It changed while it was read: the figures are of different moments, and "
                    "nothing is said of damage.\n");
  }
  absl::StrAppend(&text, ParticipantsOf(run), "mapped by:");
  const Json& pids = run["mapped_by_pids"];
  for (const Json& pid : pids) absl::StrAppend(&text, " ", pid.get<int64_t>());
  absl::StrAppend(&text, pids.empty() ? " no process" : "",
                  run["some_processes_unreadable"].get<bool>()
                      ? " (and perhaps some whose /proc may not be read)\n"
                      : "\n");
  if (run.contains("unread_because")) {
    absl::StrAppend(&text, "contents: not read: ", run["unread_because"].get<std::string>(), "\n");
  }
  if (run.contains("account")) absl::StrAppend(&text, AccountOf(run["account"]));
  for (const char* kind : {"store", "channel", "heap", "pool"}) {
    if (run.contains(kind)) absl::StrAppend(&text, Numbers(kind, run[kind]));
  }
  if (run.contains("heap")) absl::StrAppend(&text, HeapDrawing(run["heap"]));
  if (run.contains("pool")) absl::StrAppend(&text, OnTheirWay(run["pool"]["holds_of_messages"]));
  const Json& damage = run["damage"];
  for (const Json& one : damage) absl::StrAppend(&text, "damage: ", one.get<std::string>(), "\n");
  if (damage.empty() && run["of_one_moment"].get<bool>()) absl::StrAppend(&text, "damage: none\n");
  return text;
}

Json ForResultFile(const Json& run) {
  Json shown = run;
  if (!shown.contains("heap")) return shown;
  const std::optional<HeapMap> map = HeapMap::FromJson(shown["heap"]["map"]);
  if (!map.has_value()) return shown;
  const size_t per_cell = std::max<size_t>(1, (map->cells().size() + kTextCells - 1) / kTextCells);
  const HeapMap coarse = map->Coarsened(per_cell);
  shown["heap"]["map"] = {{"begin_offset", coarse.begin()},
                          {"cell_bytes", coarse.cell_bytes()},
                          {"cells", coarse.Letters()}};
  return shown;
}

}  // namespace kill9::inspect
