target_link_libraries(tm_cql PUBLIC tm_base tm_table)
