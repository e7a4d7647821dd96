pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
target_link_libraries(tm_stream PUBLIC PkgConfig::PCRE2)
