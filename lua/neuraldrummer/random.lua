--- Random numbers that depend on a seed alone, for what is decided in Lua. (The
--- engine's own generator serves what is decided in C.)
local random = {}

--- A stream of uniform random numbers in [0, 1), the same for the same seed on
--- every machine: xorshift64* (Vigna 2016, "An experimental exploration of
--- Marsaglia's xorshift generators, scrambled").
---@param seed integer
---@return fun(): number
function random.uniform(seed)
  -- odd, so that no seed gives the state 0, in which the generator would stay
  local state = (seed + 1) * 0x9E3779B97F4A7C15 | 1
  return function()
    state = state ~ state >> 12
    state = state ~ state << 25
    state = state ~ state >> 27
    return (state * 0x2545F4914F6CDD1D >> 11) / (1 << 53)
  end
end

return random
