# Whether the gate that ctest has just run came to an answer. An undecided one is `Skipped` in
# ctest's summary, which alone would let it pass; this test then fails, and says what the gate
# lacked.
if(NOT EXISTS ${RESULT})
  message(FATAL_ERROR "the gate left no result (${RESULT})")
endif()
file(READ ${RESULT} json)
string(JSON exit_code GET "${json}" exit_code)
string(JSON conclusion GET "${json}" conclusion)
message("${conclusion}")
if(exit_code EQUAL 3)
  message(FATAL_ERROR "nothing was wrong, but not all was decided")
endif()
