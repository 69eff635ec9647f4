#include "harness/programs/protocol/protocol.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace kill9::programs {
namespace {

constexpr size_t kQuotedMost = 300;

absl::Status Stray(std::string_view line, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(what), ": ", Quoted(line),
                   " (standard output is for answers, standard error for people)"));
}

}  // namespace

std::string Quoted(std::string_view line) {
  // A line of JSON is full of quotes, which are read best as they are.
  const std::string shown =
      absl::StrReplaceAll(absl::Utf8SafeCEscape(std::string(line.substr(0, kQuotedMost))),
                          {{"\\\"", "\""}, {"\\'", "'"}, {"\\\\", "\\\\"}});
  return absl::StrCat("'", shown, line.size() > kQuotedMost ? "...'" : "'");
}

absl::StatusOr<Answer> ReadAnswer(std::string_view line, uint64_t id) {
  Answer answer;
  answer.fields = ParseJson(line);
  if (!answer.fields.is_object()) return Stray(line, "a line that is no object of JSON");
  const auto told = answer.fields.find("id");
  if (told == answer.fields.end() || *told != id) {
    return Stray(line, absl::StrCat("a line that does not answer request ", id, " by its \"id\""));
  }
  const std::string type = TextField(answer.fields, "type");
  if (type == "ok") {
    answer.type = Answer::Type::kOk;
  } else if (type == "fail") {
    answer.type = Answer::Type::kFail;
  } else if (type == "info") {
    answer.type = Answer::Type::kInfo;
  } else {
    return Stray(line, "a line whose \"type\" is not ok, fail or info");
  }
  return answer;
}

absl::StatusOr<Offer> ReadOffer(const Answer& answer) {
  Offer offer;
  if (answer.type != Answer::Type::kOk) {
    return absl::InvalidArgumentError(
        absl::StrCat("it answered \"init\" with ", Quoted(Dump(answer.fields))));
  }
  const auto said = [&answer](const char* name) {
    const auto found = answer.fields.find(name);
    return found != answer.fields.end() && found->is_boolean() && found->get<bool>();
  };
  offer.audit = said("audit");
  offer.marks = said("marks");
  const auto functions = answer.fields.find("functions");
  if (functions == answer.fields.end() || functions->is_null()) return offer;
  const Json& list = *functions;
  if (!list.is_array()) {
    return absl::InvalidArgumentError("its \"functions\" are no list of names");
  }
  for (const Json& name : list) {
    if (!name.is_string()) {
      return absl::InvalidArgumentError("its \"functions\" are no list of names");
    }
    offer.functions.push_back(name.get<std::string>());
  }
  return offer;
}

}  // namespace kill9::programs
