# Tests of the explorer: linked with what it explores, and with small programs that are compiled to
# be explored.

if(NOT KILL9_HAVE_EXPLORER)
  return()
endif()

file(GLOB PROGRAM_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/property/explore/programs/*.cc)
kill9_explored(EXPLORED_PROGRAMS ${CMAKE_SOURCE_DIR} ${PROGRAM_SOURCES})
add_library(kill9_explore_outcomes STATIC ${CMAKE_SOURCE_DIR}/property/explore/c11_enumerator.cc
  ${CMAKE_SOURCE_DIR}/property/explore/outcomes_for_tests.cc)
target_link_libraries(kill9_explore_outcomes PUBLIC kill9_explorer GTest::gtest)
target_precompile_headers(kill9_explore_outcomes REUSE_FROM kill9_variants)
file(GLOB EXPLORE_TESTS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/property/explore/*_test.cc
  ${CMAKE_SOURCE_DIR}/property/explore/drawn/*_test.cc
  ${CMAKE_SOURCE_DIR}/property/explore/moves/*_test.cc)
list(APPEND TEST_SOURCES ${EXPLORE_TESTS})
# Its litmus cases are written in the words of those in explore_enumerator_test.
set_source_files_properties(${CMAKE_SOURCE_DIR}/property/explore/explore_c11_test.cc PROPERTIES
  SKIP_UNITY_BUILD_INCLUSION ON)
kill9_test_program(explore_tests ${EXPLORE_TESTS})
target_sources(explore_tests PRIVATE ${EXPLORED_PROGRAMS} ${EXPLORED_DESIGNS})
target_link_libraries(explore_tests PRIVATE kill9_explore_outcomes kill9_explore_command)
kill9_defines_for_test(explore_command_test KILL9_COMMAND="$<TARGET_FILE:kill9>")
kill9_defines_for_test(explore_orderings_test KILL9_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
add_dependencies(explore_tests kill9 kill9-explore)
