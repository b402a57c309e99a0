---@meta neuraldrummer.mpi
--- Training shared by the processes of an MPI job, a library of its own (it
--- links MPI; `make MPI=1`). neuraldrummer.core must have been loaded before it.
--- `neuraldrummer.train` takes a world for its option `distributed`; by hand:
---
---     local world = assert(require "neuraldrummer.mpi".join())
---     local batches = corpus:batches { model = model, world = world }
---     while batches:next() do print(model:train_step(batches)) end  -- all print the same
---     world:leave()
---
--- All processes make the same calls in the same order. One that ends without
--- `leave`, by an error say, takes the others along.

---@class neuraldrummer.mpi
---@field version string
local mpi = {}

---@class neuraldrummer.world : userdata
local world = {}

--- Joins the processes that mpirun started together; one that was started alone
--- is a world of one. Once a process.
---@return neuraldrummer.world? world
---@return string? message
function mpi.join() end
---@return integer rank this process, from 1
function world:rank() end
---@return integer size how many there are
function world:size() end
--- Each number added up over all processes.
---@param numbers number[] as many in each, at most 4096
---@return number[]? sums
---@return string? message
function world:sum(numbers) end
--- Whether it is true in any process.
---@param here boolean
---@return boolean? any
---@return string? message
function world:any(here) end
--- Whether the text is the same in all processes.
---@param text string
---@return boolean? same
---@return string? message
function world:same(text) end
--- Ends all processes, this one too.
---@param status? integer exit status, 1..125
function world:abort(status) end
--- All processes part, and may then end; the world is closed.
---@return boolean? ok
---@return string? message
function world:leave() end
function world:close() end

return mpi
