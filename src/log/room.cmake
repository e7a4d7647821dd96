foreach(lib zlib liblz4 libzstd snappy)
  pkg_check_modules(TM_LOG_${lib} REQUIRED IMPORTED_TARGET ${lib})
  target_link_libraries(tm_log PUBLIC PkgConfig::TM_LOG_${lib})
endforeach()
