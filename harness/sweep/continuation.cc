#include "harness/sweep/continuation.h"

#include <xxhash.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "harness/base/mappings/mappings.h"
#include "harness/result/schema/schema.h"
#include "harness/sweep/sweep.h"

namespace kill9::sweep {
namespace {

using stepper::AddressCount;

std::string HashOf(const std::string& bytes) {
  return absl::StrFormat("%016x", XXH3_64bits(bytes.data(), bytes.size()));
}

// In large pieces: this program has tens of megabytes, and who has interrupted the sweep waits.
std::string HashOfFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> piece(size_t{1} << 20);
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              XXH3_freeState);
  XXH3_64bits_reset(state.get());
  while (file.read(piece.data(), std::ssize(piece)), file.gcount() > 0) {
    XXH3_64bits_update(state.get(), piece.data(), static_cast<size_t>(file.gcount()));
  }
  return absl::StrFormat("%016x", XXH3_64bits_digest(state.get()));
}

// Addresses mean the same in the same program only, and so do distinct states.
// Of all code that is loaded: the program, plugins, other libraries.
std::string HashOfThisProgram() {
  std::set<std::string> files;
  VisitMappings(0, [&files](const Mapping& one) {
    if (one.rights == "r-xp" && one.path.starts_with('/')) files.emplace(one.path);
    return true;
  });
  std::string hashes;
  for (const std::string& path : files) hashes += HashOfFile(path);
  return HashOf(hashes);
}

// All that decides what a cell's run says.
Json AskedBy(const SweepOptions& options, const std::vector<CellRequest>& cells) {
  std::string names;
  for (const CellRequest& cell : cells) absl::StrAppend(&names, CellName(cell), "\n");
  return {{"cells", cells.size()},
          {"names", HashOf(names)},
          {"second", options.second},
          {"full", options.full},
          {"stall", options.stall},
          {"recovery", options.recovery},
          {"two_victims", options.two_victims},
          {"resume", options.resume},
          {"kill_after_resume", options.kill_after_resume},
          {"reuse", options.reuse},
          {"three_members", options.three_members},
          {"samples_modes", options.samples_modes},
          {"shape", options.shape},
          {"samples_shapes", options.samples_shapes},
          {"sample", options.sample},
          {"pairs", options.pairs},
          {"failures", options.most_failures},
          {"seed", options.seed},
          {"watchdog", options.watchdog_seconds},
          {"breakpoints", static_cast<int>(options.breakpoints)},
          {"shard", absl::StrCat(options.shard.index, "/", options.shard.of)}};
}

absl::Status Refuse(std::string_view why) { return absl::InvalidArgumentError(std::string(why)); }

}  // namespace

std::string CellName(const CellRequest& request) {
  return absl::StrCat(request.variant, " ", request.operation, " ", request.state);
}

Continuation::Continuation(const SweepOptions& options, const std::vector<CellRequest>& cells)
    : asked_(AskedBy(options, cells)) {
  for (const CellRequest& cell : cells) is_planned_[CellName(cell)] = true;
}

absl::Status Continuation::TakeOver(const Json& earlier) try {
  if (const std::string why = WhyNoResult(earlier); !why.empty()) return Refuse("it " + why);
  if (TextField(earlier, "kind") != "sweep") return Refuse("it is no result of a sweep");
  if (!earlier.contains("to_continue")) {
    return Refuse("that sweep was not interrupted: there is nothing to go on with");
  }
  const Json& to_continue = earlier.at("to_continue");
  if (to_continue.at("program") != HashOfThisProgram()) {
    return Refuse("it was made by another build of this program, of a plugin or of a library");
  }
  for (const auto& [what, given] : asked_.items()) {
    const Json before = to_continue.at("asked").value(what, Json());
    if (before == given) continue;
    return Refuse(absl::StrCat("that sweep was asked for otherwise (", what, ": ", Dump(before),
                               ", now ", Dump(given), "): its options have to be given again"));
  }
  for (const Json& run : earlier.at("runs")) {
    // What is skipped is skipped again. What is undecided may be so by what interrupted the sweep:
    // a scheduler's signals come to all its processes, to those that are traced, too.
    const std::string verdict = run.value("verdict", "");
    if (verdict == "skipped" || verdict == "undecided") continue;
    const std::string name = absl::StrCat(run.at("variant").get<std::string>(), " ",
                                          run.at("operation").get<std::string>(), " ",
                                          run.at("state").get<std::string>());
    const auto cell = is_planned_.find(name);
    if (cell == is_planned_.end() || !cell->second) {
      return Refuse(absl::StrCat("its run '", name, "' is none of this sweep"));
    }
    cell->second = false;
    runs_.push_back(run);
  }
  for (const Json& group : to_continue.at("addresses")) {
    std::vector<AddressCount> counts;
    for (const Json& count : group.at("counts")) {
      counts.emplace_back().address = count.at(0).get<uint64_t>();
      size_t n = 0;
      for (const auto field : stepper::kAddressCounts) {
        counts.back().*field = count.at(++n).get<uint64_t>();
      }
    }
    addresses_.Add(group.at("variant").get<std::string>(), group.at("operation").get<std::string>(),
                   counts);
  }
  kills_ = to_continue.at("kill_points").get<uint64_t>();
  seconds_ = earlier.at("seconds").get<double>();
  return absl::OkStatus();
} catch (const Json::exception& error) {
  return Refuse(absl::StrCat("a field is not as a sweep writes it: ", error.what()));
}

std::vector<CellRequest> Continuation::Left(const std::vector<CellRequest>& cells) const {
  std::vector<CellRequest> left;
  for (const CellRequest& cell : cells) {
    if (is_planned_.at(CellName(cell))) left.push_back(cell);
  }
  return left;
}

void Continuation::Note(const CellRequest& cell, const CellArea& area) {
  if (area.result.verdict == Verdict::kUndecided) return;  // it is swept again
  kills_ += area.progress_kill_points;
  addresses_.Add(cell.variant, cell.operation, area.addresses);
}

Json Continuation::ToJson() const {
  Json groups = Json::array();
  for (const auto& [of, addresses] : addresses_.groups()) {
    Json counts = Json::array();
    for (const auto& [address, count] : addresses) {
      Json one = {address};
      for (const auto field : stepper::kAddressCounts) one.push_back(count.*field);
      counts.push_back(std::move(one));
    }
    groups.push_back({{"variant", of.first}, {"operation", of.second}, {"counts", counts}});
  }
  return {{"program", HashOfThisProgram()},
          {"asked", asked_},
          {"kill_points", kills_},
          {"addresses", groups}};
}

}  // namespace kill9::sweep
