rockspec_format = "3.0"
package = "neuraldrummer"
version = "dev-1"
source = { url = "." }  -- `luarocks make` in a checkout
description = {
  summary = "Listens to a song as MIDI and plays drums to it",
  detailed = [[
    Reads a song from a MIDI file or from a host's notes, and plays drums to it
    with a recurrent network. The network is trained here as well.
    The C module links OpenBLAS. To build it, pkg-config must find openblas and
    smf (libsmf's static library, and glib's headers for its types; neither is
    needed to run it), and binutils must be installed. The command-line tool
    needs argparse, dkjson and LuaFileSystem, from rocks or from the system's
    packages.]],
  license = "MIT",
}
supported_platforms = { "unix" }
dependencies = { "lua >= 5.4, < 5.5" }
build = {
  type = "make",
  build_variables = {
    CFLAGS = "-O3",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
  },
  install_variables = {
    CFLAGS = "-O3",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    PREFIX = "$(PREFIX)",
    BINDIR = "$(BINDIR)",
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
    DATADIR = "",  -- no place for a manual page in a rock
  },
}
test = {
  type = "command",
  command = "make test",  -- `luarocks test -- SPEC=spec/kits_spec.lua`: that one alone
}
