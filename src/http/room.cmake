pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
target_link_libraries(tm_http PUBLIC PkgConfig::MICROHTTPD PkgConfig::JANSSON)
# The page: bundled from web/ into the build tree (tools/web.sh), then embedded.
file(GLOB web_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/*.json ${CMAKE_SOURCE_DIR}/web/src/*)
set(web_dist ${CMAKE_BINARY_DIR}/generated/web)
set(assets ${CMAKE_BINARY_DIR}/generated/assets.c)
add_custom_command(OUTPUT ${assets}
  COMMAND ${CMAKE_SOURCE_DIR}/tools/web.sh ${web_dist}
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/gen/embed.py ${assets} ${web_dist}
  DEPENDS ${web_sources} ${CMAKE_SOURCE_DIR}/tools/web.sh ${CMAKE_SOURCE_DIR}/tools/gen/embed.py
  COMMENT "The page")
target_sources(tm_http PRIVATE ${assets})
