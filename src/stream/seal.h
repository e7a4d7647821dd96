/* Stored bytes with a version and a checksum around them. */
#ifndef TM_STREAM_SEAL_H
#define TM_STREAM_SEAL_H
#include "base/base.h"
void tm_state_seal(struct tm_buf *out, struct tm_str payload);
/* False where the bytes are not whole. */
bool tm_state_unseal(struct tm_str sealed, struct tm_str *ret_payload);
#endif
