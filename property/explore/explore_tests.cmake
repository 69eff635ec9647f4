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
file(GLOB EXPLORE_TESTS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/property/explore/*_test.cc)
foreach(source IN LISTS EXPLORE_TESTS)
  get_filename_component(name ${source} NAME_WE)
  kill9_explore_program(${name} ${EXPLORED_PROGRAMS} ${EXPLORED_DESIGNS} ${source})
  target_link_libraries(${name} PRIVATE kill9_explore_outcomes GTest::gmock GTest::gtest_main)
  target_compile_options(${name} PRIVATE ${KILL9_QUICK_COMPILE})
  kill9_precompiled_test(${name} ${source})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 1800)
endforeach()
target_compile_definitions(explore_command_test PRIVATE KILL9_COMMAND="$<TARGET_FILE:kill9>")
add_dependencies(explore_command_test kill9 kill9-explore)
