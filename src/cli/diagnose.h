/* Why nothing moves: findings with what to do next. Used by up, doctor, the page. */
#ifndef TM_CLI_DIAGNOSE_H
#define TM_CLI_DIAGNOSE_H
#include "cli/instance.h"

/* Appends a JSON array of {"severity": "error"|"warning"|"info", "subject", "what", "why", "next"}. */
void tm_diagnose_json(struct tm_instance *instance, struct tm_buf *out);
/* "error users: …\n  why: …\n  next: …" per finding of such an array. */
void tm_findings_text(struct tm_str json, bool color, struct tm_buf *out);
#endif
