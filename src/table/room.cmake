# RocksDB through its C API only.
find_library(ROCKSDB_LIBRARY rocksdb REQUIRED)
target_link_libraries(tm_table PUBLIC tm_base ${ROCKSDB_LIBRARY})
