# Writes the manual pages and completions of the command KILL9 into the folder OUTPUT, as they lie
# below share/. They are what the command says of itself, so that they are never of another time.
file(REMOVE_RECURSE ${OUTPUT})

function(write_page path)
  execute_process(COMMAND ${KILL9} help ${ARGN} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  file(WRITE ${OUTPUT}/${path} "${text}")
endfunction()

function(write_manual name)
  write_page(man/man1/${name}.1 --as=man ${ARGN})
  find_program(GZIP gzip)
  if(GZIP)
    execute_process(COMMAND ${GZIP} -9n ${OUTPUT}/man/man1/${name}.1 COMMAND_ERROR_IS_FATAL ANY)
  endif()
endfunction()

# The rows below "Subcommands:" of the help.
execute_process(COMMAND ${KILL9} help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE ".*\nSubcommands:\n" "" help "${help}")
string(REPLACE ";" "," help "${help}")  # CMake's own sign between the items of a list
string(REGEX MATCHALL "  [a-z]+  +[^\n]*\n" rows "${help}")
list(LENGTH rows count)
if(count LESS 2)
  message(FATAL_ERROR "the help of ${KILL9} lists no commands")
endif()
write_manual(kill9)
foreach(row IN LISTS rows)
  string(REGEX REPLACE "^  ([a-z]+)  .*" "\\1" command "${row}")
  write_manual(kill9-${command} ${command})
endforeach()
write_page(bash-completion/completions/kill9 --as=bash)
write_page(zsh/vendor-completions/_kill9 --as=zsh)
write_page(fish/vendor_completions.d/kill9.fish --as=fish)
