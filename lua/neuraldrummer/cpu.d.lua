---@meta neuraldrummer.cpu
--- A library without OpenBLAS behind it, so that it can be there first: tells
--- OpenBLAS, which chooses its kernels as it is loaded, which ones fit the CPU.

---@class neuraldrummer.cpu
local cpu = {}

--- Calls f(argument), which loads OpenBLAS, with OPENBLAS_CORETYPE set as fits the CPU:
--- only the first time in a process, and not where the user has set it.
---@param f function
---@param argument any
---@return any result f's first
function cpu.load(f, argument) end

---@return string? told what OpenBLAS was told
---@return string? fits what fits the CPU; nil: OpenBLAS's own choice
function cpu.told() end

return cpu
