/* A driver without a device, for tests: device memory is host memory, one stream, every call counted.
   The names and codes are those of the CUDA driver API. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static int live = 0, contexts = 0, copies = 0, fail_alloc = 0;

int stub_live(void) { return live; }
int stub_contexts(void) { return contexts; }
int stub_copies(void) { return copies; }
void stub_fail_alloc(int yes) { fail_alloc = yes; }

int cuInit(unsigned flags) { return flags == 0 ? 0 : 1; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 6 : 0;
    return device == 0 ? 0 : 101;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
    *context = &contexts; contexts++; return device == 0 ? 0 : 101;
}
int cuDevicePrimaryCtxRelease_v2(int device) { contexts--; return device == 0 ? 0 : 101; }
int cuCtxSetCurrent(void *context) { return context == &contexts ? 0 : 201; }
int cuStreamCreate(void **stream, unsigned flags) { *stream = malloc(8); live++; return flags == 1 ? 0 : 1; }
int cuStreamSynchronize(void *stream) { return stream ? 0 : 400; }
int cuStreamDestroy_v2(void *stream) { free(stream); live--; return 0; }
int cuMemAlloc_v2(void **address, size_t size) {
    if (fail_alloc) return 2;
    *address = malloc(size); live++; return size ? 0 : 1;
}
int cuMemFree_v2(void *address) { free(address); live--; return 0; }
int cuMemHostAlloc(void **address, size_t size, unsigned flags) {
    *address = malloc(size); live++; return size && flags == 0 ? 0 : 1;
}
int cuMemFreeHost(void *address) { free(address); live--; return 0; }
int cuMemcpyHtoDAsync_v2(void *to, const void *from, size_t size, void *stream) {
    memcpy(to, from, size); copies++; return stream ? 0 : 400;
}
int cuMemcpyDtoHAsync_v2(void *to, const void *from, size_t size, void *stream) {
    memcpy(to, from, size); copies++; return stream ? 0 : 400;
}
int cuGetErrorString(int code, const char **text) {
    *text = code == 2 ? "out of memory" : code == 400 ? "invalid resource handle" : "invalid argument";
    return 0;
}
