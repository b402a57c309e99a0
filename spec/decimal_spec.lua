-- Numbers in files are the same in every locale.
local decimal = require "neuraldrummer.decimal"
local shell = require "spec.support.shell"

describe("numbers as text", function()
  it("are what string.format and tostring make of them", function()
    assert.equal("1.50 7 x % 1e-09 0x1p-1",
      decimal.format("%.2f %d %s %% %.3g %a", 1.5, 7, "x", 1e-9, 0.5))
    assert.equal("nothing", decimal.format "nothing")
    assert.same({ "0.5", "2", "2.0", "x" },
      { decimal.text(0.5), decimal.text(2), decimal.text(2.0), decimal.text "x" })
  end)
end)

describe("where a comma is the decimal point", function()
  -- A locale of our own, for there may be none here that has it.
  local LOCALE <const> = [[
    for part in CTYPE COLLATE MONETARY TIME MESSAGES; do
      printf 'LC_%%s\ncopy "POSIX"\nEND LC_%%s\n' $part $part
    done >%s/definition
    printf 'LC_NUMERIC\ndecimal_point ","\nthousands_sep ""\ngrouping -1\n' >>%s/definition
    echo 'END LC_NUMERIC' >>%s/definition
    localedef -c -i %s/definition %s/comma_XX]]
  local folder, there
  setup(function()
    folder = shell.folder()
    shell.sh((LOCALE:gsub("%%s/", folder .. "/"):gsub("%%%%", "%%")))
    there = shell.sh(("LOCPATH=%s lua5.4 -e 'os.exit(os.setlocale \"comma_XX\" ~= nil)'"):format(
      folder)) == 0
  end)
  teardown(function() shell.remove(folder) end)

  local function run(script, name)
    return shell.sh(("mkdir %s/%s && LOCPATH=%s LUA_PATH=%s LUA_CPATH=%s lua5.4 %s"):format(
      folder, name, folder, shell.quote("./?.lua;" .. package.path), shell.quote(package.cpath),
      script))
  end

  it("files and models are as they are elsewhere", function()
    if not there then return pending "no localedef that makes one" end
    for name, locale in pairs { point = "", comma = "comma_XX" } do
      local status, out, err = run(("spec/support/comma.lua %s/%s %s"):format(folder, name, locale),
        name)
      assert.same({ 0, "", "" }, { status, out, err })
    end
    -- the seconds of each batch are of the day
    shell.sh(("cd %s; for f in */model.tsv; do cut -f 1-6 $f >$f.cut; rm $f; done; "
      .. "rm */model.last.safetensors"):format(folder))
    local status, out = shell.sh(("diff -r %s/point %s/comma"):format(folder, folder))
    assert.equal("", out)
    assert.equal(0, status)
    assert.matches("0%.0015", shell.read(folder .. "/comma/model.tsv.cut"))
    assert.is_true(#shell.read(folder .. "/comma/drums.tsv") > 1000)
  end)

  it("a format is cut at the right places", function()
    if not there then return pending "no localedef that makes one" end
    local status, out, err = run([[-e '
      assert(os.setlocale "comma_XX")
      local decimal = require "neuraldrummer.decimal"
      print(0.5)
      print(decimal.format("%5.1f|%-6.2g|%%f|%s,%d|%+.0f|%q", 0.25, 1.5, "a,b", 3, 2.0, "0,5"))
      print(decimal.text(-1e-7), decimal.text(4))']], "format")
    assert.same({ 0, "" }, { status, err })
    assert.equal("0,5\n  0.2|1.5   |%f|a,b,3|+2|\"0,5\"\n-1e-07\t4\n", out)
  end)
end)
