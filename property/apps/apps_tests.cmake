# The tests of the programs in apps/ that need packages of their own, where those are built.
if(KILL9_HAVE_HTTP_CACHE)
  target_link_libraries(apps_tests PRIVATE kill9_http_cache)
  foreach(test http_cache_program_test http_cache_torture_test)
    add_test(NAME ${test} COMMAND python3
      ${CMAKE_SOURCE_DIR}/property/apps/http_cache/${test}.py $<TARGET_FILE:kill9-http-cache>)
    set_tests_properties(${test} PROPERTIES TIMEOUT 1800)
  endforeach()
endif()
