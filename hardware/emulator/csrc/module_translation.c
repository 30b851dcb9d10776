/* The part of the Python module that the translator and its tests use. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

#include "cpu_native.h"
#include "module.h"

#define OPERATION_NAME(name) #name,
static const char *const operations[] = {EACH_OPERATION(OPERATION_NAME)};

/* Offsets in cpu_t that translated code is built on. */
#define FIELD(name) {#name, offsetof(cpu_t, name)},
static const struct {
    const char *name;
    size_t offset;
} fields[] = {
    FIELD(r) FIELD(cpsr) FIELD(irq) FIELD(fiq) FIELD(itcm) FIELD(dtcm) FIELD(sdram) FIELD(records)
    FIELD(n) FIELD(z) FIELD(c) FIELD(v) FIELD(native_code) FIELD(native_handler)
    FIELD(native_load) FIELD(native_store) FIELD(native_load_block) FIELD(native_store_block)
    FIELD(native_write_status) FIELD(native_read_saved)
};

int translation_constants(PyObject *module) {
    PyObject *names = PyTuple_New(OPERATIONS), *layout = PyDict_New();
    int failed = !names || !layout;
    for (int i = 0; !failed && i < OPERATIONS; i++)
        failed = PyTuple_SetItem(names, i, PyUnicode_FromString(operations[i]));
    for (size_t i = 0; !failed && i < sizeof fields / sizeof *fields; i++) {
        PyObject *offset = PyLong_FromSize_t(fields[i].offset);
        failed = !offset || PyDict_SetItemString(layout, fields[i].name, offset);
        Py_XDECREF(offset);
    }
    return failed || PyModule_AddObject(module, "OPERATIONS", names) ||
           PyModule_AddObject(module, "LAYOUT", layout);
}

/* decode(image, thumb): every address of an ITCM as the decoder leaves it, 16 bytes a record. */
static PyObject *decode(PyObject *self, PyObject *args) {
    static uint8_t nothing[4];
    cpu_t cpu = {.dtcm = nothing, .sdram = nothing, .sysram = nothing};
    Py_buffer image;
    int thumb;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*p", &image, &thumb))
        return NULL;
    uint32_t size = thumb ? 2 : 4, count = CPU_ITCM_SIZE / size;
    PyObject *result = NULL;
    if (image.len != CPU_ITCM_SIZE)
        PyErr_Format(PyExc_ValueError, "image: %zd bytes (must be %u)", image.len, CPU_ITCM_SIZE);
    else
        result = PyBytes_FromStringAndSize(NULL, count * sizeof(record_t));
    cpu.itcm = image.buf;
    cpu.cpsr = thumb ? FLAG_T : 0;
    for (uint32_t i = 0; result && i < count; i++) {
        record_t record;
        cpu_decode(&cpu, size * i, &record);
        memcpy(PyBytes_AsString(result) + i * sizeof record, &record, sizeof record);
    }
    PyBuffer_Release(&image);
    return result;
}

PyMethodDef translation_functions[] = {
    {"decode", decode, METH_VARARGS,
     "decode(image, thumb) -> bytes\n\nDecode every address of an ITCM image, 16 bytes a record."},
    {NULL, NULL, 0, NULL},
};

static int keep(board_t *board, const cpu_native_t *native) {
    size_t size = (board->translation_count + 1) * sizeof(cpu_native_t *);
    const cpu_native_t **list = realloc(board->translations, size);
    if (!list)
        return -1;
    board->translations = list;
    list[board->translation_count++] = native;
    return 0;
}

PyObject *board_add_translation(PyObject *self, PyObject *args) {
    Py_buffer code, entries, needs, image;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*y*y*", &code, &entries, &needs, &image))
        return NULL;
    if (needs.len != CPU_ITCM_SIZE / 32 || image.len != CPU_ITCM_SIZE ||
        entries.len % (Py_ssize_t)sizeof(cpu_native_entry_t)) {
        PyErr_SetString(PyExc_ValueError, "translation: sizes that do not fit");
    } else {
        const cpu_native_t *native =
            cpu_native_new(code.buf, (size_t)code.len, entries.buf,
                           (uint32_t)((size_t)entries.len / sizeof(cpu_native_entry_t)), needs.buf,
                           image.buf);
        if (!native)
            PyErr_SetFromErrno(PyExc_OSError);
        else if (keep(board_of(self), native))
            cpu_native_free(native);
        else
            result = PyLong_FromUnsignedLong(board_of(self)->translation_count - 1);
    }
    PyBuffer_Release(&code);
    PyBuffer_Release(&entries);
    PyBuffer_Release(&needs);
    PyBuffer_Release(&image);
    return result;
}

PyObject *board_use_translation(PyObject *self, PyObject *args) {
    unsigned index, id, number;
    if (!PyArg_ParseTuple(args, "III", &index, &id, &number))
        return NULL;
    core_t *core = core_at(self, index, id);
    if (!core)
        return NULL;
    if (number >= board_of(self)->translation_count) {
        PyErr_Format(PyExc_IndexError, "translation: %u (there are %u)", number,
                     board_of(self)->translation_count);
        return NULL;
    }
    return PyBool_FromLong(
        cpu_native_use(&core->cpu, board_of(self)->translations[number]) == 0);
}

PyObject *board_profile(PyObject *self, PyObject *args) {
    unsigned index, id;
    if (!PyArg_ParseTuple(args, "II", &index, &id))
        return NULL;
    core_t *core = core_at(self, index, id);
    PyObject *result = core ? PyBytes_FromStringAndSize(NULL, FIRST_OUTSIDE) : NULL;
    for (int i = 0; result && i < FIRST_OUTSIDE; i++)
        PyBytes_AsString(result)[i] = core->cpu.records[i].handler != 0;
    return result;
}

PyObject *board_record(PyObject *self, PyObject *args) {
    unsigned index, id, segments;
    const char *path;
    if (!PyArg_ParseTuple(args, "IIsI", &index, &id, &path, &segments))
        return NULL;
    core_t *core = core_at(self, index, id);
    if (!core)
        return NULL;
    if (record_core(core, path, segments))
        return PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
    Py_RETURN_NONE;
}
