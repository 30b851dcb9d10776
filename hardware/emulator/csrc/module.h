/* The Python module in two files: module.c and module_translation.c. */
#ifndef SPIKINGCONVNET_MODULE_H
#define SPIKINGCONVNET_MODULE_H

#include "board.h"

/* module.c */
board_t *board_of(PyObject *self);
core_t *core_at(PyObject *self, unsigned index, unsigned id);

/* module_translation.c */
extern PyMethodDef translation_functions[];
int translation_constants(PyObject *module);
PyObject *board_add_translation(PyObject *self, PyObject *args);
PyObject *board_use_translation(PyObject *self, PyObject *args);
PyObject *board_profile(PyObject *self, PyObject *args);
PyObject *board_record(PyObject *self, PyObject *args);

#define TRANSLATION_METHODS                                                                        \
    {"add_translation", board_add_translation, METH_VARARGS,                                       \
     "add_translation(code, entries, needs, image) -> int\n\nMake a translation; OSError when "    \
     "memory that can be executed is refused."},                                                   \
    {"use_translation", board_use_translation, METH_VARARGS,                                       \
     "use_translation(chip, core, number) -> bool\n\nLet a core use a translation, if it fits."},  \
    {"profile", board_profile, METH_VARARGS,                                                       \
     "profile(chip, core) -> bytes\n\nTell which records have been executed, a byte each."},       \
    {"record", board_record, METH_VARARGS,                                                         \
     "record(chip, core, path, segments)\n\nRecord what a core executes next, see record.c."}

#endif
