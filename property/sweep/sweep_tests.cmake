# What the program that sweeps has beside its tests: the designs that its workers know, and code
# whose lines sweep_coverage_test looks for.
target_sources(sweep_tests PRIVATE property/sweep/sweep_main.cc
  property/sweep/library_code.cc)
set_source_files_properties(property/sweep/sweep_main.cc PROPERTIES UNITY_GROUP property)
set_source_files_properties(property/sweep/library_code.cc PROPERTIES COMPILE_OPTIONS -g1
  SKIP_PRECOMPILE_HEADERS ON)
