# What `./dev torture` runs after a fresh clone, before there is a kill9: the same torture, of the
# same objects, without the other commands, which take longer to compile than all that it needs.
file(GLOB FIRST_COMMAND_SOURCES CONFIGURE_DEPENDS stress/command/arguments/*.cc
  stress/command/arguments/refusals/*.cc)
set(COMMAND_LINE_SOURCES ${FIRST_COMMAND_SOURCES})
foreach(source terminal/terminal terminal/closing_summary torture/display torture/findings
    torture/program_flags torture/torture_continuation torture/torture_options torture/torture_run)
  list(APPEND FIRST_COMMAND_SOURCES ${CMAKE_SOURCE_DIR}/stress/command/${source}.cc)
endforeach()
add_library(kill9_torture_command STATIC ${FIRST_COMMAND_SOURCES})
target_compile_options(kill9_torture_command PRIVATE ${KILL9_LINES_ONLY})
target_precompile_headers(kill9_torture_command REUSE_FROM kill9_torture_json)
kill9_unity(kill9_torture_command 2)
# Beside the rest, not behind it.
set_source_files_properties(${COMMAND_LINE_SOURCES} PROPERTIES UNITY_GROUP command_line)
target_link_libraries(kill9_torture_command PUBLIC kill9_torture PRIVATE CLI11::CLI11)
set_target_properties(kill9_torture_command PROPERTIES OPTIMIZE_DEPENDENCIES ON)

# The list of the designs without baselines and peers.
add_library(kill9_first_registry OBJECT variants/registry.cc)
target_link_libraries(kill9_first_registry PRIVATE kill9_variants)
target_precompile_headers(kill9_first_registry REUSE_FROM kill9_variants)
target_compile_definitions(kill9_first_registry PRIVATE KILL9_OURS_ONLY)

add_executable(kill9_first stress/command/first/first_torture.cc)
set_target_properties(kill9_first PROPERTIES OUTPUT_NAME kill9
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/first)
target_compile_options(kill9_first PRIVATE ${KILL9_LINES_ONLY})
target_precompile_headers(kill9_first REUSE_FROM kill9_torture_json)
target_link_libraries(kill9_first PRIVATE kill9_torture_command kill9_first_registry)
set_target_properties(kill9_first PROPERTIES KILL9_OURS_ONLY ON)
kill9_knows_its_commit(kill9_first)
