# Writes OUTPUT, a header that says which commit of SOURCE_DIR is built: "-dirty" after it where
# files were changed, "unknown" without git. Touches it only if that changed. Run at each build.
execute_process(COMMAND git describe --always --dirty --abbrev=12 --exclude=*
  WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
  ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "unknown")
endif()
set(text "inline constexpr char kBuildCommit[] = \"${commit}\";\n")
set(there "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} there)
endif()
if(NOT there STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
