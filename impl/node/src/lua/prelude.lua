-- Makes the world that scripts see of the functions that the node gives: nothing in it can be changed, and
-- what is not there cannot be read. Scripts meet stand-ins of the tables, which are empty and lead to them.

local given = ...

local error, getmetatable, load, loadstring, next, pcall, rawget, rawset, setmetatable, tostring, type, xpcall =
  error, getmetatable, load, loadstring, next, pcall, rawget, rawset, setmetatable, tostring, type, xpcall
local byte, format, resume = string.byte, string.format, coroutine.resume
local plain = given.plain

local READONLY = "Attempt to modify a readonly table"

-- The tables behind the stand-ins, and what leads from these to those.
local behind = {}
local stand_ins = {}
local ways = {}

local function refuse_change()
  error(READONLY, 2)
end

local function protect(content)
  local way = { __index = content, __newindex = refuse_change, __metatable = false }
  local stand_in = setmetatable({}, way)
  behind[stand_in] = content
  ways[stand_in] = way
  stand_ins[#stand_ins + 1] = stand_in
  return stand_in
end

local function expect_table(value, name)
  if type(value) ~= "table" then
    error(format("bad argument #1 to '%s' (table expected, got %s)", name, type(value)), 3)
  end
end

local world = {
  _VERSION = _VERSION, assert = assert, error = error, gcinfo = gcinfo, ipairs = ipairs, rawequal = rawequal,
  select = select, tonumber = tonumber, tostring = tostring, type = type, unpack = unpack,
}

function world.next(content, key)
  expect_table(content, "next")
  return next(behind[content] or content, key)
end

function world.pairs(content)
  expect_table(content, "pairs")
  local real = behind[content]
  if not real then
    return next, content
  end
  return function(_, key) return next(real, key) end, content
end

function world.rawget(content, key)
  expect_table(content, "rawget")
  return rawget(behind[content] or content, key)
end

function world.rawset(content, key, value)
  expect_table(content, "rawset")
  if behind[content] then
    error(READONLY, 0)
  end
  return rawset(content, key, value)
end

function world.setmetatable(content, metatable)
  expect_table(content, "setmetatable")
  if metatable ~= nil and type(metatable) ~= "table" then
    error("bad argument #2 to 'setmetatable' (nil or table expected)", 2)
  end
  if behind[content] then
    error(READONLY, 0)
  end
  return setmetatable(content, metatable)
end

local metatables = {}

function world.getmetatable(value)
  if behind[value] then
    return metatables[value]
  end
  return getmetatable(value)
end

-- What a script catches is a text, even where an error carries more.
local function settle(has_succeeded, failure, ...)
  if not has_succeeded then
    failure = plain(failure)
    local text = type(failure) == "table" and failure.err
    failure = (type(text) == "string" or type(text) == "number") and text or failure
  end
  return has_succeeded, failure, ...
end

function world.pcall(...)
  return settle(pcall(...))
end

function world.xpcall(run, handle)
  return xpcall(run, function(failure) return handle(plain(failure)) end)
end

local function settle_coroutine(has_succeeded, failure, ...)
  if not has_succeeded then
    failure = plain(failure)
  end
  return has_succeeded, failure, ...
end

function coroutine.resume(...)
  return settle_coroutine(resume(...))
end

-- Compiled code is never loaded: it could do anything.
local COMPILED = 27

function world.loadstring(text, name)
  if type(text) ~= "string" and type(text) ~= "number" then
    error(format("bad argument #1 to 'loadstring' (string expected, got %s)", type(text)), 2)
  end
  text = tostring(text)
  if byte(text) == COMPILED then
    return nil, format("[string \"%s\"]:1: unexpected symbol near 'char(27)'", text:match("^%c%w*"))
  end
  return loadstring(text, name)
end

function world.load(read, name)
  if type(read) ~= "function" then
    error(format("bad argument #1 to 'load' (function expected, got %s)", type(read)), 2)
  end
  local is_first = true
  return load(function()
    local piece = read()
    if is_first and type(piece) == "string" and byte(piece) == COMPILED then
      return "char(27)"
    end
    is_first = false
    return piece
  end, name)
end

local collectgarbage = collectgarbage
local MEMORY_OPTIONS = { collect = true, count = true, restart = true, step = true }
local KEPT_OPTIONS = { stop = true, setpause = true, setstepmul = true }

-- Memory is everybody's: a script may ask how much there is, not have it kept.
function world.collectgarbage(option, amount)
  option = option or "collect"
  if KEPT_OPTIONS[option] then
    return 0
  end
  if not MEMORY_OPTIONS[option] then
    error(format("bad argument #1 to 'collectgarbage' (invalid option '%s')", tostring(option)), 2)
  end
  return collectgarbage(option, amount)
end

for name, pick in next, given.random do
  math[name] = pick
end

local redis = given.redis
local libraries = {
  bit = given.bit, cjson = given.cjson, cmsgpack = given.cmsgpack, coroutine = coroutine, math = math, redis = redis,
  string = string, struct = given.struct, table = table,
}

for name, library in next, libraries do
  world[name] = protect(library)
end

local function refuse_name(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end

setmetatable(world, { __index = refuse_name })
local globals = protect(world)
world._G = globals
metatables[globals] = protect({ __index = function() end })
getmetatable("").__metatable = protect({ __index = world.string })

local locate = given.locate

local function clear_stand_ins()
  for index = 1, #stand_ins do
    -- Functions that do not ask for the content's own way can leave something in a stand-in.
    local stand_in = stand_ins[index]
    local key = next(stand_in)
    while key ~= nil do
      rawset(stand_in, key, nil)
      key = next(stand_in)
    end
  end
end

-- Runs a script, or a function of a library, which is handed its words; says whether it ended well, and its value
-- or an error.
local function start(script, keys, argv, call, try, check)
  redis.call, redis.pcall, redis.acl_check_cmd = call, try, check
  local run = script
  if given.loading then
    run = function() return script(keys, argv) end
  else
    world.KEYS, world.ARGV = keys, argv
  end
  local has_succeeded, value = xpcall(run, locate)
  clear_stand_ins()
  return has_succeeded, value
end

local load_library

-- While a library is loaded it finds what it registers functions with, and nothing else.
if given.loading then
  local loading = setmetatable({ redis = protect(setmetatable(given.loading, { __index = refuse_name })) }, { __index = refuse_name })

  function load_library(code)
    ways[globals].__index = loading
    local has_succeeded, value = xpcall(code, locate)
    ways[globals].__index = world
    clear_stand_ins()
    return has_succeeded, value
  end
end

-- Puts right what code leaves behind that was cut off from outside.
local function recover()
  ways[globals].__index = world
  clear_stand_ins()
end

return globals, start, recover, load_library
