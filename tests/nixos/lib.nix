# As much of nixpkgs' library as our modules use, so that they can be evaluated where nixpkgs is not. It merges definitions
# and checks no types; with NIXPKGS_LIB the tests use the real one as well.
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    elemAt
    filter
    foldl'
    head
    isAttrs
    isFunction
    isList
    length
    listToAttrs
    mapAttrs
    stringLength
    substring
    tail
    ;

  isOption = value: value._type or "" == "option";

  recursiveUpdate =
    old: new:
    if isAttrs old && isAttrs new && !(isOption new) && !(old ? outPath) then
      old // mapAttrs (name: value: if old ? ${name} then recursiveUpdate old.${name} value else value) new
    else
      new;

  last = list: elemAt list (length list - 1);
  plain = description: {
    inherit description;
    merge = last;
    getSubOptions = _: { };
  };

  # The definitions at a path, without those whose condition does not hold. A condition may hang on options that its
  # content does not define, so that is looked at first.
  definitions =
    path: value:
    if value._type or "" == "if" then
      let
        inside = definitions path value.content;
      in
      if inside != [ ] && value.condition then inside else [ ]
    else if path == [ ] then
      [ value ]
    else if value ? ${head path} then
      definitions (tail path) value.${head path}
    else
      [ ];

  valueOf =
    option: defs:
    let
      firm = filter (value: value._type or "" != "default") defs;
      weak = map (value: value.content) (filter (value: value._type or "" == "default") defs);
      used = if firm != [ ] then firm else weak;
    in
    if used != [ ] then
      option.type.merge used
    else
      option.default or (throw "the option ${option.description} has no value");

  configOf =
    options: configs:
    let
      at =
        path:
        mapAttrs (
          name: value:
          if isOption value then
            valueOf value (concatMap (definitions (path ++ [ name ])) configs)
          else
            at (path ++ [ name ]) value
        );
    in
    at [ ] options;

  evalModules =
    { modules, specialArgs }:
    let
      load =
        module:
        let
          value = if isAttrs module || isFunction module then module else import module;
          loaded = if isFunction value then value (specialArgs // { inherit config lib; }) else value;
          whole = if loaded ? config || loaded ? options || loaded ? imports then loaded else { config = loaded; };
        in
        concatMap load (whole.imports or [ ]) ++ [ whole ];
      all = concatMap load modules;
      options = foldl' recursiveUpdate { } (map (module: module.options or { }) all);
      config = configOf options (map (module: module.config or { }) all);
    in
    {
      inherit config options;
    };

  types =
    listToAttrs (
      map
        (name: {
          inherit name;
          value = plain name;
        })
        [
          "bool"
          "str"
          "path"
          "package"
          "port"
          "unspecified"
        ]
    )
    // {
      anything = plain "anything" // {
        merge = foldl' recursiveUpdate { };
      };
      ints.between = _: _: plain "integer";
      enum = _: plain "one of";
      strMatching = _: plain "string";
      nullOr = type: type;
      addCheck = type: check: type // { inherit check; };
      listOf = type: plain "list" // { merge = concatLists; };
      nonEmptyListOf = types.listOf;
      attrsOf = type: {
        description = "attribute set";
        merge =
          defs:
          let
            of = mapAttrs (name: _: concatMap (definitions [ name ]) defs) (foldl' (a: b: a // b) { } defs);
          in
          mapAttrs (_: type.merge) (lib.filterAttrs (_: defined: defined != [ ]) of);
        inherit (type) getSubOptions;
      };
      submodule = module: {
        description = "submodule";
        merge = configOf module.options;
        getSubOptions = _: module.options;
      };
    };

  lib = {
    inherit
      evalModules
      filter
      foldl'
      isOption
      recursiveUpdate
      types
      ;
    inherit (builtins)
      any
      isAttrs
      isBool
      isList
      attrValues
      concatLists
      concatMap
      concatStringsSep
      listToAttrs
      mapAttrs
      replaceStrings
      sort
      ;
    mkOption = option: option // { _type = "option"; };
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkDefault = content: {
      _type = "default";
      inherit content;
    };
    literalExpression = text: { inherit text; };
    literalMD = text: { inherit text; };
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];
    optionalAttrs = condition: attrs: if condition then attrs else { };
    nameValuePair = name: value: { inherit name value; };
    toList = value: if isList value then value else [ value ];
    mapAttrsToList = f: attrs: map (name: f name attrs.${name}) (attrNames attrs);
    filterAttrs =
      keep: attrs:
      listToAttrs (
        map (name: {
          inherit name;
          value = attrs.${name};
        }) (filter (name: keep name attrs.${name}) (attrNames attrs))
      );
    concatMapStringsSep = separator: f: list: builtins.concatStringsSep separator (map f list);
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    splitString = separator: text: filter builtins.isString (builtins.split separator text);
    unique = foldl' (seen: value: if builtins.elem value seen then seen else seen ++ [ value ]) [ ];
    allUnique = list: lib.unique list == list;
    optionalString = condition: text: if condition then text else "";
    boolToString = value: if value then "true" else "false";
    toIntBase10 = builtins.fromJSON;
    makeBinPath = packages: builtins.concatStringsSep ":" (map (package: "${package}/bin") packages);
  };
in
lib
