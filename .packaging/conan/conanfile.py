from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy


class Tinymem(ConanFile):
    name = "tinymem"
    version = "0.1.0"
    description = "A memory allocator: malloc by preload or link"
    license = "MIT"
    topics = ("malloc", "allocator", "compaction")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": True}

    def export_sources(self):
        top = self.recipe_folder + "/../.."
        for pattern in ("CMakeLists.txt", "LICENSE", "lib/*", "preload/*", "include/*", ".packaging/*"):
            copy(self, pattern, top, self.export_sources_folder)

    def validate(self):
        if self.settings.os != "Linux" or self.settings.arch not in ("x86_64", "armv8"):
            raise ConanInvalidConfiguration("tinymem needs Linux on x86-64 or arm64")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeToolchain(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, self.package_folder + "/licenses")

    def package_info(self):
        # The package has CMake files of its own, with all targets.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = ["lib/cmake/tinymem"]
        self.cpp_info.libs = ["tinymem"]
