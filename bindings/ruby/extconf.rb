# Builds Kill9::SharedHash from the installed libkill9-store.
require "mkmf"

pkg_config("kill9-store") or abort "kill9-store is missing: install libkill9-dev"
create_makefile("kill9")
