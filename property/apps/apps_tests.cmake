# The tests of the programs in apps/, of those that are built.
target_link_libraries(connections_tests PRIVATE kill9_connections)
kill9_defines_for_test(connection_examples_test KILL9_EXAMPLES="${CMAKE_BINARY_DIR}")
add_dependencies(connections_tests picture_server picture_client buffer_stress)

target_link_libraries(apps_tests PRIVATE kill9_server kill9_cluster)
if(LIBEVENT_FOUND)
  target_link_libraries(apps_tests PRIVATE kill9_memcached_parts)
  # With a planted bug, which the torture must see.
  add_executable(stale_memcached property/apps/memcached/stale_memcached.cc)
  target_link_libraries(stale_memcached PRIVATE kill9_memcached_parts kill9_registry)
  target_precompile_headers(stale_memcached REUSE_FROM kill9_variants)
  foreach(test memcached_commands_test memcached_deaths_test memcached_torture_test
    memcached_volume_test)
    kill9_defines_for_test(${test} KILL9_MEMCACHED="$<TARGET_FILE:kill9-memcached>"
      KILL9_STALE_MEMCACHED="$<TARGET_FILE:stale_memcached>")
  endforeach()
  add_dependencies(apps_tests kill9-memcached stale_memcached)
endif()

if(KILL9_HAVE_HTTP_CACHE)
  target_link_libraries(apps_tests PRIVATE kill9_http_cache)
  add_library(late_sendmsg MODULE property/apps/http_cache/late_sendmsg.cc)
  foreach(test http_cache_program_test http_cache_torture_test)
    add_test(NAME ${test} COMMAND python3
      ${CMAKE_SOURCE_DIR}/property/apps/http_cache/${test}.py $<TARGET_FILE:kill9-http-cache>)
    set_tests_properties(${test} PROPERTIES TIMEOUT 1800
      ENVIRONMENT "KILL9_LATE_SENDMSG=$<TARGET_FILE:late_sendmsg>")
  endforeach()
endif()
