/* The ground floor: what every room uses. */
#ifndef TM_BASE_BASE_H
#define TM_BASE_BASE_H
#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/env.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/journal.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "base/queue.h"
#include "base/say.h"
#include "base/str.h"
#include "base/url.h"
#endif
