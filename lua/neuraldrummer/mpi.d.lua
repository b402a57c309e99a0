---@meta neuraldrummer.mpi
--- Training that the processes of an MPI job share. A library of its own, because it
--- links MPI (`make MPI=1`); load neuraldrummer.core before it. `neuraldrummer.train`
--- takes a world as its option `distributed`. By hand:
---
---     local world = assert(require "neuraldrummer.mpi".join())
---     local batches = corpus:batches { model = model, world = world }
---     while batches:next() do print(model:train_step(batches)) end  -- all print the same
---     world:leave()
---
--- All processes make the same calls in the same order. A process that ends without
--- `leave`, for example by an error, ends the others too.

---@class neuraldrummer.mpi
---@field version string
local mpi = {}

---@class neuraldrummer.world : userdata
local world = {}

--- Joins the processes that mpirun started together. A process that was started alone is
--- a world of one. Can be called once in a process.
---@return neuraldrummer.world? world
---@return string? message
function mpi.join() end
--- The number of this process, from 1.
---@return integer rank
function world:rank() end
--- The number of processes.
---@return integer size
function world:size() end
--- The sum of each number over all processes.
---@param numbers number[] at most 4096, as many in each process
---@return number[]? sums
---@return string? message
function world:sum(numbers) end
--- Whether a condition is true in any process.
---@param here boolean whether it is true in this one
---@return boolean? any
---@return string? message
function world:any(here) end
--- Whether a text is the same in all processes.
---@param text string
---@return boolean? same
---@return string? message
function world:same(text) end
--- Ends all processes, including this one.
---@param status? integer exit status, 1..125
function world:abort(status) end
--- Waits for all processes, which may then end, and closes the world. Batches that share it
--- cannot be used any more.
---@return boolean? ok
---@return string? message
function world:leave() end
function world:close() end

return mpi
