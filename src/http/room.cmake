pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
target_link_libraries(tm_http PUBLIC PkgConfig::MICROHTTPD PkgConfig::JANSSON)
