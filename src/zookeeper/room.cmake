# Debian's libzookeeper-mt-dev has no .pc file. Its header has the name of ours: it is included as <zookeeper.h>.
find_path(ZOOKEEPER_INCLUDE zookeeper.h PATH_SUFFIXES zookeeper REQUIRED)
find_library(ZOOKEEPER_MT zookeeper_mt REQUIRED)
target_include_directories(tm_zookeeper PRIVATE ${ZOOKEEPER_INCLUDE})
target_compile_definitions(tm_zookeeper PRIVATE THREADED)
target_link_libraries(tm_zookeeper PUBLIC ${ZOOKEEPER_MT} tm_base)
