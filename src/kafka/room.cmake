# The message structures and tables are made from src/kafka/messages/*.msg.
file(GLOB kafka_messages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/kafka/messages/*.msg)
set(kafka_generated ${CMAKE_BINARY_DIR}/generated/kafka/messages.c ${CMAKE_BINARY_DIR}/generated/kafka/messages.h)
add_custom_command(OUTPUT ${kafka_generated}
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/gen/kafka_messages.py ${CMAKE_BINARY_DIR}/generated ${kafka_messages}
  DEPENDS ${CMAKE_SOURCE_DIR}/tools/gen/kafka_messages.py ${kafka_messages}
  COMMENT "Kafka messages")
target_sources(tm_kafka PRIVATE ${kafka_generated})
add_custom_target(kafka_messages DEPENDS ${kafka_generated})
target_include_directories(tm_kafka PUBLIC ${CMAKE_BINARY_DIR}/generated)

pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(KAFKA_ZLIB REQUIRED IMPORTED_TARGET zlib libxxhash libpcre2-8)
target_link_libraries(tm_kafka PUBLIC PkgConfig::LIBUV PkgConfig::KAFKA_ZLIB tm_log tm_base)
pkg_check_modules(RDKAFKA REQUIRED IMPORTED_TARGET rdkafka)
target_link_libraries(tm_kafka PUBLIC PkgConfig::RDKAFKA tm_stream)
