/* The parts of the vector runner. */
#ifndef VECTORS_H
#define VECTORS_H

#include <jansson.h>

#include "t.h"

/* Runs the steps of a flow; what went wrong, or nothing. */
const char *v_flow(json_t *line);
int v_same(regauth_bytes bytes, json_t *wanted);

#endif
