/* Every limit on a size that comes from outside, with its reason. A parser checks the limit before it allocates. */
#ifndef TM_BASE_LIMITS_H
#define TM_BASE_LIMITS_H

#define TM_KIB ((size_t)1024)
#define TM_MIB (TM_KIB * 1024)

#define TM_LIMIT_KAFKA_REQUEST_BYTES (100 * TM_MIB) /* Kafka's socket.request.max.bytes is 104857600 */
#define TM_LIMIT_KAFKA_BATCH_BYTES (1048588)        /* Kafka's message.max.bytes */
#define TM_LIMIT_KAFKA_HELD_BYTES (512 * TM_MIB)    /* half-received requests of all connections together */
#define TM_LIMIT_KAFKA_ARRAY_ITEMS (100000)         /* no real request names more topics or partitions */
#define TM_LIMIT_KAFKA_DECODED_BYTES (64 * TM_MIB)  /* structures of one decoded request: a million topics of one byte each stop here */
#define TM_LIMIT_KAFKA_FETCH_BYTES (55 * TM_MIB)    /* Kafka's fetch.max.bytes of the broker is 57671680 */
#define TM_LIMIT_DECOMPRESSED_BYTES (128 * TM_MIB)  /* of one record batch: a bomb stops here */
#define TM_LIMIT_CQL_FRAME_BYTES (256 * TM_MIB)     /* native protocol: envelope length */
#define TM_LIMIT_CQL_STATEMENT_BYTES (16 * TM_MIB)
#define TM_LIMIT_CQL_REQUEST_BYTES (16 * TM_MIB)        /* Cassandra's native_transport_max_frame_size */
#define TM_LIMIT_CQL_HELD_BYTES (256 * TM_MIB)          /* half-received requests of all connections together */
#define TM_LIMIT_CASSANDRA_IN_FLIGHT (128)              /* requests on one connection to a real Cassandra; its own threads are 32 */
#define TM_LIMIT_CASSANDRA_IN_FLIGHT_BYTES (4 * TM_MIB) /* of them; Cassandra holds a fortieth of its heap for one client */
#define TM_LIMIT_CQL_TOKENS ((size_t)1000000)           /* of one statement: about 100 bytes of memory each */
#define TM_LIMIT_CQL_NESTING (64)                       /* of types and of literals */
#define TM_LIMIT_SQL_BYTES (4 * TM_MIB)
#define TM_LIMIT_SQL_NESTING (1000)          /* parser depth; deeper is refused before the stack runs out: */
#define TM_STACK_BYTES (8 * TM_MIB)          /* of every thread that may be given SQL; memory only where it is touched */
#ifndef TM_LIMIT_VALUES_BYTES                /* the fuzz build sets it: there an input has some seconds */
#define TM_LIMIT_VALUES_BYTES (512 * TM_MIB) /* what functions may make of one batch of rows: repeat('x', 2000000000) stops here */
#endif
#define TM_LIMIT_JSON_NESTING (1000) /* Jackson's StreamReadConstraints maxNestingDepth */
#define TM_LIMIT_JSON_STRING_BYTES (64 * TM_MIB)
#define TM_LIMIT_TYPE_NESTING (100)
#define TM_LIMIT_HTTP_BODY_BYTES (8 * TM_MIB)
#define TM_LIMIT_HTTP_ANSWER_BYTES (256 * TM_MIB) /* to one statement of /api/sql: it is held in memory until it is sent */
#define TM_LIMIT_CONFIG_BYTES (1 * TM_MIB)
#define TM_LIMIT_JOURNAL_VALUE_BYTES (64 * TM_MIB) /* max.message.bytes of the checkpoint topic: a shard of state is one value */
#define TM_LIMIT_EXPORT_STATE_BYTES (64 * TM_MIB)
#define TM_LIMIT_CONNECTIONS (10000)
#define TM_LIMIT_TASK_MESSAGE_BYTES (48 * TM_MIB) /* one message of a task worker (an XCom value) */
#define TM_LIMIT_BATCH_ROWS (4096)                /* rows of one column batch in flight */
#endif
