/* The Python face of the board: one type, Board, with memory access, core control and run().
 *
 * Chips and cores are named by number. Addresses are SpiNNaker's. Nothing here knows SDP or SCP:
 * that is Python's part.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

#include "board.h"
#include "module.h"

typedef struct {
    PyObject_HEAD
    board_t board;
} BoardObject;

board_t *board_of(PyObject *self) { return &((BoardObject *)self)->board; }

static chip_t *chip_at(PyObject *self, unsigned index) {
    board_t *board = board_of(self);
    if (index < board->chips)
        return &board->chip[index];
    PyErr_Format(PyExc_IndexError, "chip: %u (the board has %u)", index, board->chips);
    return NULL;
}

core_t *core_at(PyObject *self, unsigned index, unsigned id) {
    chip_t *chip = chip_at(self, index);
    if (!chip)
        return NULL;
    if (id >= 1 && id < chip->cores)
        return &chip->core[id];
    PyErr_Format(PyExc_IndexError, "core: %u (chip %u,%u has application cores 1 to %u)", id,
                 chip->x, chip->y, chip->cores - 1);
    return NULL;
}

static PyObject *bad_address(unsigned address, Py_ssize_t length) {
    PyErr_Format(PyExc_ValueError, "address: 0x%08x + %zd (neither memory nor registers)", address,
                 length);
    return NULL;
}

static PyObject *board_read(PyObject *self, PyObject *args) {
    unsigned index, address;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(args, "IIn", &index, &address, &length))
        return NULL;
    chip_t *chip = chip_at(self, index);
    if (!chip)
        return NULL;
    if (length < 0 || length > UINT32_MAX)
        return bad_address(address, length);
    uint8_t *memory = chip_memory(chip, address, (uint32_t)length);
    if (memory)
        return PyBytes_FromStringAndSize((const char *)memory, length);
    if (!chip_is_register(address) || !chip_is_register(address + (uint32_t)length - 1))
        return bad_address(address, length);
    PyObject *result = PyBytes_FromStringAndSize(NULL, length);
    if (!result)
        return NULL;
    char *out = PyBytes_AsString(result);
    for (Py_ssize_t i = 0; i < length;) {
        uint32_t at = address + (uint32_t)i, word = chip_read_register(chip, at & ~3u);
        for (unsigned byte = at & 3; byte < 4 && i < length; byte++)
            out[i++] = (char)(word >> 8 * byte);
    }
    return result;
}

static PyObject *board_write(PyObject *self, PyObject *args) {
    unsigned index, address;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "IIy*", &index, &address, &data))
        return NULL;
    chip_t *chip = chip_at(self, index);
    PyObject *result = NULL;
    if (chip) {
        uint8_t *memory = chip_memory(chip, address, (uint32_t)data.len);
        for (int id = 1; id < chip->cores; id++)
            doze_rouse(&chip->core[id]);
        if (memory) {
            memcpy(memory, data.buf, (size_t)data.len);
            result = Py_None;
        } else if (chip_is_register(address) && data.len % 4 == 0 && address % 4 == 0) {
            for (Py_ssize_t i = 0; i < data.len; i += 4) {
                uint32_t word;
                memcpy(&word, (char *)data.buf + i, 4);
                chip_write_register(chip, address + (uint32_t)i, word);
            }
            result = Py_None;
        } else {
            bad_address(address, data.len);
        }
    }
    PyBuffer_Release(&data);
    Py_XINCREF(result);
    return result;
}

static PyObject *board_read_core(PyObject *self, PyObject *args) {
    unsigned index, id, address, length;
    if (!PyArg_ParseTuple(args, "IIII", &index, &id, &address, &length))
        return NULL;
    core_t *core = core_at(self, index, id);
    if (!core)
        return NULL;
    uint8_t *memory = core_memory(core, address, length);
    return memory ? PyBytes_FromStringAndSize((const char *)memory, length)
                  : bad_address(address, length);
}

static PyObject *board_write_core(PyObject *self, PyObject *args) {
    unsigned index, id, address;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "IIIy*", &index, &id, &address, &data))
        return NULL;
    core_t *core = core_at(self, index, id);
    PyObject *result = NULL;
    if (core) {
        uint8_t *memory = core_memory(core, address, (uint32_t)data.len);
        if (memory) {
            memcpy(memory, data.buf, (size_t)data.len);
            if (address < ITCM_SIZE)
                cpu_invalidate(&core->cpu, address, (uint32_t)data.len);
            result = Py_None;
        } else {
            bad_address(address, data.len);
        }
    }
    PyBuffer_Release(&data);
    Py_XINCREF(result);
    return result;
}

static PyObject *board_start(PyObject *self, PyObject *args) {
    unsigned index, id, r0;
    if (!PyArg_ParseTuple(args, "III", &index, &id, &r0))
        return NULL;
    core_t *core = core_at(self, index, id);
    if (!core)
        return NULL;
    board_start_core(core, r0);
    Py_RETURN_NONE;
}

static PyObject *board_stop(PyObject *self, PyObject *args) {
    unsigned index, id;
    if (!PyArg_ParseTuple(args, "II", &index, &id))
        return NULL;
    core_t *core = core_at(self, index, id);
    if (!core)
        return NULL;
    board_stop_core(core);
    Py_RETURN_NONE;
}

static PyObject *board_run_method(PyObject *self, PyObject *args) {
    long long instructions;
    enum run_result result;
    if (!PyArg_ParseTuple(args, "L", &instructions))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    result = board_run(board_of(self), instructions);
    Py_END_ALLOW_THREADS;
    return PyLong_FromLong(result);
}

/* The chips whose monitor has been signalled since the last call. */
static PyObject *board_attention(PyObject *self, PyObject *unused) {
    (void)unused;
    board_t *board = board_of(self);
    PyObject *list = PyList_New(0);
    if (!list)
        return NULL;
    board->attention = false;
    for (uint32_t i = 0; i < board->chips; i++) {
        if (!board->chip[i].attention)
            continue;
        board->chip[i].attention = false;
        PyObject *number = PyLong_FromUnsignedLong(i);
        if (!number || PyList_Append(list, number)) {
            Py_XDECREF(number);
            Py_DECREF(list);
            return NULL;
        }
        Py_DECREF(number);
    }
    return list;
}

static PyObject *board_core_state(PyObject *self, PyObject *args) {
    unsigned index, id;
    if (!PyArg_ParseTuple(args, "II", &index, &id))
        return NULL;
    core_t *core = core_at(self, index, id);
    if (!core)
        return NULL;
    static const char *const names[] = {"off", "ready", "waiting", "dead"};
    const meter_t *meter = core->meter;
    return Py_BuildValue("{s:s,s:I,s:I,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "state",
                         names[core->state], "pc",
                         core->cpu.r[15], "cpsr", core->cpu.cpsr, "instructions",
                         (unsigned long long)(core->cpu.instructions - core->cpu.stalls),
                         "dma_bytes",
                         (unsigned long long)core->dma.bytes, "packets_sent",
                         (unsigned long long)core->comms.sent, "packets_received",
                         (unsigned long long)core->comms.received, "ticks",
                         (unsigned long long)core->ticks, "overruns",
                         (unsigned long long)core->overruns, "period_cycles",
                         (unsigned long long)timer_period(core, 0), "total_instructions",
                         (unsigned long long)meter[METER_INSTRUCTIONS].total, "most_instructions",
                         (unsigned long long)meter[METER_INSTRUCTIONS].most, "most_dma_bytes",
                         (unsigned long long)meter[METER_DMA_BYTES].most, "most_packets",
                         (unsigned long long)meter[METER_PACKETS].most);
}

static PyObject *board_now(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(board_of(self)->now);
}

static PyObject *board_limit(PyObject *self, void *unused) {
    (void)unused;
    uint64_t limit = board_of(self)->limit;
    if (limit == NEVER)
        Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(limit);
}

static int board_set_limit(PyObject *self, PyObject *value, void *unused) {
    (void)unused;
    uint64_t limit = NEVER;
    if (value && value != Py_None) {
        limit = PyLong_AsUnsignedLongLong(value);
        if (PyErr_Occurred())
            return -1;
    }
    board_of(self)->limit = limit;
    return 0;
}

static PyObject *board_simulates(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(board_of(self)->simulates);
}

static PyObject *board_all_ticked(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(board_of(self)->all_ticked);
}

static PyObject *board_executed(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(board_of(self)->executed);
}

static PyObject *board_deaths(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(board_of(self)->deaths);
}

/* chips: a sequence of (x, y, cores, six neighbour numbers or -1). */
static int place_chip(board_t *board, uint32_t index, PyObject *item) {
    int x, y, cores, to[LINKS_PER_CHIP];
    chip_t *chip = &board->chip[index];
    if (!PyArg_ParseTuple(item, "iii(iiiiii)", &x, &y, &cores, &to[0], &to[1], &to[2], &to[3],
                          &to[4], &to[5]))
        return -1;
    if (x < 0 || x > 255 || y < 0 || y > 255 || cores < 1 || cores > CORES_PER_CHIP) {
        PyErr_Format(PyExc_ValueError, "chip %u: at %d,%d with %d cores (0..255, 1 to 18 cores)",
                     index, x, y, cores);
        return -1;
    }
    chip->x = (uint8_t)x;
    chip->y = (uint8_t)y;
    chip->cores = (uint8_t)cores;
    for (int link = 0; link < LINKS_PER_CHIP; link++)
        chip->neighbour[link] =
            to[link] >= 0 && (uint32_t)to[link] < board->chips ? &board->chip[to[link]] : NULL;
    return 0;
}

static int board_object_init(PyObject *self, PyObject *args, PyObject *keywords) {
    PyObject *chips;
    unsigned threads = 1;
    int enforced = 0;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "O|Ip", &chips, &threads, &enforced))
        return -1;
    Py_ssize_t count = PySequence_Size(chips);
    if (count < 1 || count > 65536) {
        PyErr_SetString(PyExc_ValueError, "chips: there must be at least one");
        return -1;
    }
    board_free(board_of(self));
    if (board_init(board_of(self), (uint32_t)count, CPU_SDRAM_SIZE, threads, enforced)) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PySequence_GetItem(chips, i);
        int failed = !item || place_chip(board_of(self), (uint32_t)i, item);
        Py_XDECREF(item);
        if (failed)
            return -1;
    }
    return 0;
}

static void board_object_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    board_free(board_of(self));
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"read", board_read, METH_VARARGS,
     "read(chip, address, length) -> bytes\n\nRead shared memory or registers of a chip."},
    {"write", board_write, METH_VARARGS,
     "write(chip, address, data)\n\nWrite shared memory or registers of a chip."},
    {"read_core", board_read_core, METH_VARARGS,
     "read_core(chip, core, address, length) -> bytes\n\nRead a core's own memory."},
    {"write_core", board_write_core, METH_VARARGS,
     "write_core(chip, core, address, data)\n\nWrite a core's own memory."},
    {"start", board_start, METH_VARARGS,
     "start(chip, core, r0)\n\nReset a core and let it begin at address 0."},
    {"stop", board_stop, METH_VARARGS, "stop(chip, core)\n\nSwitch a core off."},
    {"run", board_run_method, METH_VARARGS,
     "run(instructions) -> int\n\nRun the board; returns IDLE, ALLOWANCE, ATTENTION or "
     "LIMIT."},
    TRANSLATION_METHODS,
    {"attention", board_attention, METH_NOARGS,
     "attention() -> list of chips\n\nTell whose monitor has been signalled, and forget it."},
    {"core_state", board_core_state, METH_VARARGS,
     "core_state(chip, core) -> dict\n\nTell a core's state, registers and counts."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"now", board_now, NULL, "Virtual time in cycles of 5 ns.", NULL},
    {"limit", board_limit, board_set_limit,
     "Virtual time that a simulation does not pass, or None.", NULL},
    {"simulates", board_simulates, NULL, "Whether some core's timer drives a simulation.", NULL},
    {"all_ticked", board_all_ticked, NULL, "When all such timers will have expired once more.",
     NULL},
    {"executed", board_executed, NULL, "Instructions that all cores have executed.", NULL},
    {"deaths", board_deaths, NULL, "Cores lost to a fault that their program did not handle.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Board(chips, threads=1, enforced=False)\n\nChips: (x, y, cores, (six neighbours, "
                "-1 for none)). Enforced: work takes time."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, board_object_init},
    {Py_tp_dealloc, board_object_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, NULL},
};

static PyType_Spec spec = {"spikingconvnet.hardware.emulator._core.Board", sizeof(BoardObject), 0,
                           Py_TPFLAGS_DEFAULT, slots};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_core",
                                    "The chips of a SpiNNaker board, executing ARM code.", -1,
                                    translation_functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__core(void) {
    PyObject *self = PyModule_Create(&module);
    if (!self)
        return NULL;
    PyObject *type = PyType_FromSpec(&spec);
    if (!type || PyModule_AddObject(self, "Board", type) || translation_constants(self) ||
        PyModule_AddIntConstant(self, "IDLE", RUN_IDLE) ||
        PyModule_AddIntConstant(self, "ALLOWANCE", RUN_ALLOWANCE) ||
        PyModule_AddIntConstant(self, "ATTENTION", RUN_ATTENTION) ||
        PyModule_AddIntConstant(self, "LIMIT", RUN_LIMIT)) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}
